'use strict';

const { Logger } = require('./Logger');
const { SctpAssociation } = require('./SctpAssociation');
const { Transport, emitBoth } = require('./Transport');
const { copy } = require('./copy');
const { mediaUnsupported } = require('./errors');
const validate = require('./validate');

/** @import { AppData, PipeTransport as Contract } from '..' */
/** @import { Transport as Native } from '../native/binding' */

const logger = new Logger('PipeTransport');

/**
 * @template {AppData} [A=AppData]
 * @extends {Transport<import('..').PipeTransportEvents, import('..').PipeTransportObserverEvents, A>}
 * @implements {Contract<A>}
 */
class PipeTransport extends Transport {
  #core;
  #tuple;
  #sctp;

  /**
   * @param {import('./Core').Core<Native>} core
   * @param {import('./Transport').TransportData & {
   *   tuple: import('..').TransportTuple,
   *   sctpParameters?: import('..').SctpParameters,
   * }} data
   * @param {A} appData
   */
  constructor(core, data, appData) {
    super(core, 'pipe', data, appData, (name, args) => this.#onEvent(name, args));
    this.#core = core;
    this.#tuple = data.tuple;
    this.#sctp = new SctpAssociation(data.sctpParameters);
    core.onClosing(() => this.#sctp.close());
  }

  /** @type {'pipe'} */
  get type() {
    return 'pipe';
  }

  get tuple() {
    return copy(this.#tuple);
  }

  get sctpParameters() {
    return this.#sctp.parameters;
  }

  get sctpState() {
    return this.#sctp.state;
  }

  get sctpNegotiatedCapabilities() {
    return this.#sctp.negotiatedCapabilities;
  }

  get srtpParameters() {
    return undefined;
  }

  /** @param {{ ip: string, port: number, srtpParameters?: object }} params */
  async connect(params) {
    const method = 'pipeTransport.connect';

    this.#core.check(method);

    const given = validate.object(params, 'params');

    if (validate.given(given.srtpParameters)) {
      throw mediaUnsupported('srtpParameters');
    }

    const remote = {
      ip: validate.ip(given.ip, 'ip'),
      port: validate.integer(given.port, 'port', validate.MAX_UINT16, 1),
    };
    const { tuple } = await this.#core.request(method, (native, id) =>
      native.connect(id, JSON.stringify(remote)),
    );

    this.#tuple = tuple;
  }

  /**
   * @param {string} name
   * @param {any[]} args
   */
  #onEvent(name, args) {
    switch (name) {
      case 'sctpstatechange':
        this.#sctp.change(args[0], args[1]);
        emitBoth(this, 'sctpstatechange', args[0]);
        break;
      default:
        logger.error(`unknown event '${name}'`);
    }
  }
}

exports.PipeTransport = PipeTransport;
