'use strict';

const { Dtls } = require('./Dtls');
const { SctpTransport } = require('./SctpTransport');
const { emitBoth } = require('./Transport');
const { copy } = require('./copy');
const { parseUdpConnectOptions } = require('./options/transport');
const validate = require('./options/validate');

/** @import { AppData } from '..' */
/** @import { Transport as Native } from '../native/binding' */

/** @typedef {import('./Transport').TransportData & import('./answers').UdpTransportAnswer} UdpTransportData */

/** @type {(transport: UdpTransport<any, any, any>) => Dtls | undefined} */
let dtlsOf;

/**
 * The base of transports with SCTP over UDP and one remote address: PlainTransport and PipeTransport.
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
  /** Undefined if the transport does not encrypt. */
  #dtls;

  static {
    dtlsOf = (transport) => transport.#dtls;
  }

  /**
   * @param {import('./Core').Core<Native>} core
   * @param {'plain' | 'pipe'} type
   * @param {UdpTransportData} data
   * @param {A} appData
   * @param {import('..').DtlsFingerprint[]} [dtlsFingerprints] - of the worker, if the transport encrypts.
   */
  constructor(core, type, data, appData, dtlsFingerprints) {
    super(core, type, data, appData, (name, args) => this.#onEvent(name, args));
    this.#core = core;
    this.#type = type;
    this.#tuple = data.tuple;
    this.#dtls = dtlsFingerprints && new Dtls(this, core, dtlsFingerprints);
  }

  get tuple() {
    return copy(this.#tuple);
  }

  get srtpParameters() {
    return undefined;
  }

  /**
   * @param {{ ip?: string, port?: number, dtlsParameters?: import('..').DtlsParameters, srtpParameters?: object }} [params]
   */
  async connect(params) {
    const parsed = parseUdpConnectOptions(
      validate.object(params, 'params'),
      this.sctpState !== undefined,
      this.#dtls !== undefined,
    );
    /** @type {import('./answers').UdpConnectAnswer} */
    const answer = await this.#core.request(`${this.#type}Transport.connect`, (native, id) =>
      native.connect(id, JSON.stringify(parsed)),
    );

    this.#tuple = answer.tuple;
    if (answer.dtlsLocalRole) {
      this.#dtls?.setRole(answer.dtlsLocalRole);
    }
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
      case 'dtlsstatechange':
        this.#dtls?.onStateChange(args[0], args[1], args[2]);
        break;
      default:
        this.#core.onUnknownEvent(name);
    }
  }
}

exports.UdpTransport = UdpTransport;
exports.dtlsOf = dtlsOf;
