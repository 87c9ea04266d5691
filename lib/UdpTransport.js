'use strict';

const { SctpTransport } = require('./SctpTransport');
const { emitBoth } = require('./Transport');
const { copy } = require('./copy');
const { parseUdpConnectOptions } = require('./options/transport');
const validate = require('./options/validate');

/** @import { AppData } from '..' */
/** @import { Transport as Native } from '../native/binding' */

/** @typedef {import('./Transport').TransportData & import('./answers').UdpTransportAnswer} UdpTransportData */

/**
 * The base of transports with SCTP over plain UDP: PlainTransport and PipeTransport.
 *
 * @template {import('..').TransportEvents} E
 * @template {import('..').TransportObserverEvents} O
 * @template {AppData} A
 * @extends {SctpTransport<E, O, A>}
 */
class UdpTransport extends SctpTransport {
  #core;
  #type;
  #tuple;

  /**
   * @param {import('./Core').Core<Native>} core
   * @param {'plain' | 'pipe'} type
   * @param {UdpTransportData} data
   * @param {A} appData
   */
  constructor(core, type, data, appData) {
    super(core, type, data, appData, (name, args) => this.#onEvent(name, args));
    this.#core = core;
    this.#type = type;
    this.#tuple = data.tuple;
  }

  get tuple() {
    return copy(this.#tuple);
  }

  get srtpParameters() {
    return undefined;
  }

  /** @param {{ ip?: string, port?: number, srtpParameters?: object }} [params] */
  async connect(params) {
    const parsed = parseUdpConnectOptions(
      validate.object(params, 'params'),
      this.sctpState !== undefined,
    );
    /** @type {import('./answers').UdpConnectAnswer} */
    const answer = await this.#core.request(`${this.#type}Transport.connect`, (native, id) =>
      native.connect(id, JSON.stringify(parsed)),
    );

    this.#tuple = answer.tuple;
  }

  /**
   * @param {string} name
   * @param {any[]} args
   */
  #onEvent(name, args) {
    switch (name) {
      case 'tuple':
        this.#tuple = args[0];
        // mediasoup's PipeTransport has no such event.
        if (this.#type === 'plain') {
          emitBoth(this, 'tuple', this.#tuple);
        }
        break;
      default:
        this.#core.onUnknownEvent(name);
    }
  }
}

exports.UdpTransport = UdpTransport;
