'use strict';

const { DataConsumer } = require('./DataConsumer');
const { DataProducer } = require('./DataProducer');
const { Entity, coreOf, tellObserver } = require('./Entity');
const { Logger } = require('./Logger');
const { copy } = require('./copy');
const { NotFoundError, UnsupportedError, mediaUnsupported } = require('./errors');
const { parseReliabilityOverrides, parseSctpStreamParameters } = require('./sctpStreamParameters');
const validate = require('./validate');

/** @import { AppData } from '..' */
/** @import { Transport as Native } from '../native/binding' */
/** @typedef {'maxIncomingBitrate' | 'maxOutgoingBitrate' | 'minOutgoingBitrate'} Bitrate */

const logger = new Logger('Transport');

const UNLIMITED = { maxIncomingBitrate: 0, maxOutgoingBitrate: 0, minOutgoingBitrate: 0 };

/**
 * @typedef {object} TransportData - what all kinds need to begin with.
 * @property {string} id
 * @property {boolean} sctp - whether SCTP is enabled.
 * @property {number} maxReceiveMessageSize - in bytes.
 * @property {import('./Table').Table<string, DataProducer>} dataProducers - all those of the router, by id.
 */

/**
 * What all kinds of transports have in common.
 *
 * @template {import('..').TransportEvents} E
 * @template {import('..').TransportObserverEvents} O
 * @template {AppData} A
 * @extends {Entity<E, O, A>}
 */
class Transport extends Entity {
  #core;
  #id;
  #type;
  #sctp;
  #maxReceiveMessageSize;
  #dataProducers;
  /** @type {Readonly<Record<Bitrate, number>>} */
  #bitrates = UNLIMITED;

  /**
   * @param {import('./Core').Core<Native>} core
   * @param {import('..').TransportType} type
   * @param {TransportData} data
   * @param {A} appData
   * @param {(name: string, args: any[]) => void} onEvent
   */
  constructor(core, type, data, appData, onEvent) {
    super(core, appData, { onEvent });
    this.#core = core;
    this.#id = data.id;
    this.#type = type;
    this.#sctp = data.sctp;
    this.#maxReceiveMessageSize = data.maxReceiveMessageSize;
    this.#dataProducers = data.dataProducers;
  }

  get id() {
    return this.#id;
  }

  async dump() {
    return this.#core.request('transport.dump', (native, id) => native.dump(id));
  }

  async getStats() {
    return this.#core.request('transport.getStats', (native, id) => native.getStats(id));
  }

  /** @param {number} bitrate */
  async setMaxIncomingBitrate(bitrate) {
    await this.#setBitrate('transport.setMaxIncomingBitrate', 'maxIncomingBitrate', bitrate);
  }

  /** @param {number} bitrate */
  async setMaxOutgoingBitrate(bitrate) {
    await this.#setBitrate('transport.setMaxOutgoingBitrate', 'maxOutgoingBitrate', bitrate);
  }

  /** @param {number} bitrate */
  async setMinOutgoingBitrate(bitrate) {
    await this.#setBitrate('transport.setMinOutgoingBitrate', 'minOutgoingBitrate', bitrate);
  }

  /** @returns {Promise<never>} */
  async produce() {
    this.#core.check('transport.produce');
    throw mediaUnsupported('transport.produce()');
  }

  /** @returns {Promise<never>} */
  async consume() {
    this.#core.check('transport.consume');
    throw mediaUnsupported('transport.consume()');
  }

  /**
   * @template {AppData} [P=AppData]
   * @param {import('..').DataProducerOptions<P>} [options]
   * @returns {Promise<DataProducer<P>>}
   */
  async produceData(options) {
    const method = 'transport.produceData';

    this.#core.check(method);
    this.#checkData();

    const given = validate.object(options, 'options');
    const direct = this.#type === 'direct';
    const appData = validate.appData(given.appData);
    const data = {
      id: validate.optionalUuid(given.id, 'id'),
      label: validate.text(given.label, 'label'),
      protocol: validate.text(given.protocol, 'protocol'),
      paused: validate.boolean(given.paused, false),
      sctpStreamParameters: direct
        ? ignoreOnDirect(given, 'produceData', ['sctpStreamParameters'])
        : parseSctpStreamParameters(given.sctpStreamParameters),
      maxBufferedAmount: validate.optionalInteger(given.maxBufferedAmount, 'maxBufferedAmount'),
    };

    return this.#core.create(
      method,
      'dataProducer',
      (native, requestId) => native.produceData(requestId, JSON.stringify(data)),
      (core, { id }) => {
        /** @type {import('..').DataProducerType} */
        const type = direct ? 'direct' : 'sctp';
        const maxMessageSize = this.#maxReceiveMessageSize;
        const dataProducer = new DataProducer(
          core,
          Object.assign(data, { id, type, maxMessageSize }),
          appData,
        );

        this.#dataProducers.set(id, dataProducer);
        core.onClosed(() => this.#dataProducers.take(id));
        tellObserver(this, 'newdataproducer', dataProducer);
        return dataProducer;
      },
    );
  }

  /**
   * @template {AppData} [C=AppData]
   * @param {import('..').DataConsumerOptions<C>} options
   * @returns {Promise<DataConsumer<C>>}
   */
  async consumeData(options) {
    const method = 'transport.consumeData';

    this.#core.check(method);
    this.#checkData();

    const given = validate.object(options, 'options');
    const direct = this.#type === 'direct';
    const appData = validate.appData(given.appData);
    const dataProducerId = validate.string(given.dataProducerId, 'dataProducerId', undefined);

    if (!dataProducerId) {
      throw new TypeError('missing dataProducerId');
    }

    const data = {
      dataProducerId,
      paused: validate.boolean(given.paused, false),
      subchannels: validate.given(given.subchannels) ? validate.subchannels(given.subchannels) : [],
      ...(direct
        ? ignoreOnDirect(given, 'consumeData', [
            'ordered',
            'maxPacketLifeTime',
            'maxRetransmits',
            'streamId',
          ])
        : {
            ...parseReliabilityOverrides(given),
            streamId: validate.optionalInteger(given.streamId, 'streamId', validate.MAX_STREAM_ID),
          }),
      maxBufferedAmount: validate.optionalInteger(given.maxBufferedAmount, 'maxBufferedAmount'),
    };

    if (!validate.isUuid(dataProducerId)) {
      throw new NotFoundError(`DataProducer with id "${dataProducerId}" not found`);
    }

    return this.#core.create(
      method,
      'dataConsumer',
      (native, requestId) => native.consumeData(requestId, JSON.stringify(data)),
      (core, result) => {
        const dataConsumer = new DataConsumer(core, result, appData);

        tellObserver(this, 'newdataconsumer', dataConsumer);
        return dataConsumer;
      },
    );
  }

  /** @param {import('..').TransportTraceEventType[]} [types] */
  async enableTraceEvent(types) {
    this.#core.check('transport.enableTraceEvent');
    if (!validate.given(types)) {
      return;
    }
    for (const [index, type] of validate.array(types, 'types').entries()) {
      if (typeof type !== 'string') {
        throw validate.wrong(`types[${index}]`, type, 'a string');
      }
    }
  }

  /**
   * @param {string} method
   * @param {Bitrate} name
   * @param {number} bitrate - in bits per second; 0 is no limit.
   */
  async #setBitrate(method, name, bitrate) {
    this.#core.check(method);
    if (this.#type === 'direct') {
      throw new UnsupportedError(`${name} cannot be set on a DirectTransport`);
    }

    const bitrates = { ...this.#bitrates, [name]: validate.integer(bitrate, name) };
    const { minOutgoingBitrate, maxOutgoingBitrate } = bitrates;

    if (maxOutgoingBitrate !== 0 && minOutgoingBitrate > maxOutgoingBitrate) {
      throw new TypeError(
        `minOutgoingBitrate (${minOutgoingBitrate}) cannot be above maxOutgoingBitrate (${maxOutgoingBitrate})`,
      );
    }
    this.#bitrates = bitrates;

    const limits = Object.entries(bitrates).filter(([, limit]) => limit !== 0);

    await this.#core.request(method, (native, id) =>
      native.setBitrates(id, JSON.stringify(Object.fromEntries(limits))),
    );
  }

  /** @throws {Error} */
  #checkData() {
    if (!this.#sctp && this.#type !== 'direct') {
      throw new Error('SCTP not enabled and not a direct Transport');
    }
  }
}

/**
 * Emits on a transport and on its observer, unless a listener of the first closes the transport.
 *
 * @param {Transport<any, any, any>} transport
 * @param {string} event
 * @param {unknown} arg
 */
function emitBoth(transport, event, arg) {
  const core = coreOf(transport);

  if (core.debugs) {
    core.debug(`transport: '${event}' ${JSON.stringify(arg)}`);
  }
  transport.safeEmit(event, copy(arg));
  if (!transport.closed) {
    tellObserver(transport, event, copy(arg));
  }
}

/**
 * @param {Record<string, any>} options
 * @param {string} method
 * @param {string[]} names
 * @returns {undefined}
 */
function ignoreOnDirect(options, method, names) {
  const ignored = names.filter((name) => validate.given(options[name]));

  if (ignored.length > 0) {
    logger.warn(`${method}(): ${ignored.join(', ')} ignored on a DirectTransport`);
  }
  return undefined;
}

exports.Transport = Transport;
exports.emitBoth = emitBoth;
