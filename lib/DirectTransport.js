'use strict';

const { Transport } = require('./Transport');
const { coreOf } = require('./Entity');
const { mediaUnsupported } = require('./errors');

/** @import { AppData, DirectTransport as Contract } from '..' */
/** @import { Transport as Native } from '../native/binding' */

/**
 * @template {AppData} [A=AppData]
 * @extends {Transport<import('..').DirectTransportEvents, import('..').DirectTransportObserverEvents, A>}
 * @implements {Contract<A>}
 */
class DirectTransport extends Transport {
  /**
   * @param {import('./Core').Core<Native>} core
   * @param {import('./Transport').TransportData} data
   * @param {A} appData
   */
  constructor(core, data, appData) {
    super(core, 'direct', data, appData, (name) => core.onUnknownEvent(name));
  }

  /** @type {'direct'} */
  get type() {
    return 'direct';
  }

  async connect() {
    coreOf(this).check('transport.connect');
  }

  /** @returns {never} */
  sendRtcp() {
    throw mediaUnsupported('directTransport.sendRtcp()');
  }
}

exports.DirectTransport = DirectTransport;
