'use strict';

const { UdpTransport } = require('./UdpTransport');

/** @import { AppData, PipeTransport as Contract } from '..' */
/** @import { Transport as Native } from '../native/binding' */

/**
 * @template {AppData} [A=AppData]
 * @extends {UdpTransport<import('..').PipeTransportEvents, import('..').PipeTransportObserverEvents, A>}
 * @implements {Contract<A>}
 */
class PipeTransport extends UdpTransport {
  /**
   * @param {import('./Core').Core<Native>} core
   * @param {import('./UdpTransport').UdpTransportData} data
   * @param {A} appData
   */
  constructor(core, data, appData) {
    super(core, 'pipe', data, appData);
  }

  /** @type {'pipe'} */
  get type() {
    return 'pipe';
  }
}

exports.PipeTransport = PipeTransport;
