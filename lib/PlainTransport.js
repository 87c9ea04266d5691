'use strict';

const { UdpTransport } = require('./UdpTransport');
const { coreOf } = require('./Entity');
const { setLimit } = require('./limit');
const { checkSrtpParameters } = require('./options/transport');
const validate = require('./options/validate');

/** @import { AppData, PlainTransport as Contract } from '..' */
/** @import { Transport as Native } from '../native/binding' */

/**
 * @template {AppData} [A=AppData]
 * @extends {UdpTransport<import('..').PlainTransportEvents, import('..').PlainTransportObserverEvents, A>}
 * @implements {Contract<A>}
 */
class PlainTransport extends UdpTransport {
  #comedia;

  /**
   * @param {import('./Core').Core<Native>} core
   * @param {import('./UdpTransport').UdpTransportData} data
   * @param {boolean} comedia
   * @param {A} appData
   */
  constructor(core, data, comedia, appData) {
    super(core, 'plain', data, appData);
    this.#comedia = comedia;
  }

  /** @type {'plain'} */
  get type() {
    return 'plain';
  }

  get rtcpTuple() {
    return undefined;
  }

  /**
   * @override
   * @param {{ ip?: string, port?: number, rtcpPort?: number, srtpParameters?: object }} [params]
   */
  async connect(params) {
    if (!this.#comedia) {
      return super.connect(params);
    }
    checkSrtpParameters(validate.object(params, 'params'), this.sctpState !== undefined);
    coreOf(this).check('plainTransport.connect');
  }

  /** @param {import('..').LimitOptions | null} [limit] */
  async setLimit(limit) {
    await setLimit(coreOf(this), 'transport.setLimit', limit);
  }
}

exports.PlainTransport = PlainTransport;
