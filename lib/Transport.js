'use strict';

const { Capture } = require('./Capture');
const { DataConsumer } = require('./DataConsumer');
const { DataProducer, demandOf } = require('./DataProducer');
const { emitSafely } = require('./EnhancedEventEmitter');
const { Entity, coreOf, emitOnObserver } = require('./Entity');
const { copy } = require('./copy');
const { dataProducerNotFound } = require('./dataProducers');
const { drained } = require('./drained');
const { NotFoundError, UnsupportedError, mediaUnsupported } = require('./errors');
const {
  MAX_HELD_OF_PEER,
  parseDataConsumerOptions,
  parseDataProducerOptions,
  parseMaxBufferedAmount,
} = require('./options/data');
const { checkTraceEventTypes, parseBitrates } = require('./options/transport');
const validate = require('./options/validate');

/** @import { AppData } from '..' */
/** @import { Transport as Native } from '../native/binding' */
/** @typedef {import('./options/transport').Bitrates} Bitrates */

/** @type {Bitrates} */
const UNLIMITED = {};

/**
 * Like `produceData()`, for the far end of `pipeToRouter()`: the original may be paused.
 *
 * @type {(transport: Transport<any, any, any>, options: import('..').DataProducerOptions, originPaused: boolean) => Promise<DataProducer<any>>}
 */
let producePiped;

/**
 * Like `consumeData()`, for the near end of `pipeToRouter()`: nothing is delivered until `start()`.
 *
 * @type {(transport: Transport<any, any, any>, options: import('..').DataConsumerOptions) => Promise<{ dataConsumer: DataConsumer<any>, start: () => Promise<void> }>}
 */
let consumePiped;

const SEE_PIPE = 'see pipeToRouter()';

/**
 * @typedef {object} TransportData
 * @property {string} id
 * @property {string} routerId
 * @property {number} [maxReceiveMessageSize] - in bytes; undefined if the transport carries no messages,
 * because SCTP is not enabled.
 * @property {import('./Table').Table<string, DataProducer>} dataProducers - all DataProducers of the router, by id.
 */

/**
 * The base of all types of transports.
 *
 * @template {import('..').TransportEvents} E
 * @template {import('..').TransportObserverEvents} O
 * @template {AppData} A
 * @extends {Entity<E, O, A>}
 */
class Transport extends Entity {
  #core;
  #id;
  #routerId;
  #type;
  #maxReceiveMessageSize;
  #dataProducers;
  /** @type {Readonly<Bitrates>} */
  #bitrates = UNLIMITED;
  /** @type {Set<Capture> | undefined} */
  #captures;

  static {
    producePiped = (transport, options, originPaused) =>
      transport.#produceData(options, originPaused);
    consumePiped = async (transport, options) => {
      const dataConsumer = await transport.#consumeData(options, true);

      return { dataConsumer, start: () => start(dataConsumer) };
    };
  }

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
    this.#routerId = data.routerId;
    this.#type = type;
    this.#maxReceiveMessageSize = data.maxReceiveMessageSize;
    this.#dataProducers = data.dataProducers;
  }

  get id() {
    return this.#id;
  }

  get internal() {
    return { routerId: this.#routerId, transportId: this.#id };
  }

  async dump() {
    return this.#core.request('transport.dump', (native, id) => native.dump(id));
  }

  /** @param {import('node:stream').Writable} writable */
  async capture(writable) {
    validate.writable(writable, 'writable');

    const capture = await Capture.begin(this.#core, writable, (ended) =>
      this.#captures?.delete(ended),
    );

    if (!this.#captures) {
      this.#captures = new Set();
      this.#core.onClosing(() => this.#captures?.forEach((each) => each.close()));
    }
    this.#captures.add(capture);
    // It may have closed since its answer came.
    if (this.#core.closed) {
      capture.close();
    }
    return capture;
  }

  async diagnose() {
    return this.#core.request('transport.diagnose', (native, id) => native.diagnose(id));
  }

  async getStats() {
    return this.#core.request('transport.getStats', (native, id) => native.getStats(id));
  }

  /** @param {import('..').DrainedOptions} [options] */
  drained(options) {
    return drained(this.#core, 'transport.drained', options);
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
    return this.#produceData(options, false);
  }

  /**
   * @template {AppData} [C=AppData]
   * @param {import('..').DataConsumerOptions<C>} options
   * @returns {Promise<DataConsumer<C>>}
   */
  async consumeData(options) {
    return this.#consumeData(options, false);
  }

  /** @param {import('..').TransportTraceEventType[]} [types] */
  async enableTraceEvent(types) {
    checkTraceEventTypes(types);
    this.#core.check('transport.enableTraceEvent');
  }

  /**
   * @template {AppData} [C=AppData]
   * @param {import('..').DataConsumerOptions<C>} options
   * @param {boolean} waitsForStart - for `pipeToRouter()`: whether to deliver nothing until `start()`.
   * @returns {Promise<DataConsumer<C>>}
   */
  async #consumeData(options, waitsForStart) {
    const method = 'transport.consumeData';

    this.#checkData(method);

    const { given, appData } = validate.options(options);
    const direct = this.#type === 'direct';
    const parsed = parseDataConsumerOptions(given, direct, waitsForStart);

    if (!parsed.negotiated && this.#type !== 'webrtc') {
      throw new TypeError(
        `negotiated: false needs a WebRtcTransport (this transport is '${this.#type}')`,
      );
    }

    // Towards a peer it is one of the parsed options.
    const maxBufferedAmount = direct ? parseMaxBufferedAmount(given) : 0;

    this.#core.check(method);
    if (!validate.isUuid(parsed.dataProducerId)) {
      throw dataProducerNotFound(parsed.dataProducerId, SEE_PIPE);
    }
    try {
      return await this.#core.create(
        method,
        'dataConsumer',
        (native, requestId) =>
          native.consumeData(requestId, JSON.stringify(parsed), maxBufferedAmount),
        (core, /** @type {import('..').DataConsumerDump} */ dump) => {
          const dataProducer = this.#dataProducers.get(dump.dataProducerId);
          const demand = dataProducer && demandOf(dataProducer);
          const dataConsumer = new DataConsumer(core, dump, appData, parsed, demand);

          emitOnObserver(this, 'newdataconsumer', dataConsumer);
          return dataConsumer;
        },
      );
    } catch (error) {
      // The worker does not know which Routers of other Workers have the DataProducer.
      throw error instanceof NotFoundError && !this.closed
        ? dataProducerNotFound(parsed.dataProducerId, SEE_PIPE)
        : error;
    }
  }

  /**
   * @template {AppData} [P=AppData]
   * @param {import('..').DataProducerOptions<P> | undefined} options
   * @param {boolean} originPaused - for `pipeToRouter()`: whether the original is paused.
   * @returns {Promise<DataProducer<P>>}
   */
  async #produceData(options, originPaused) {
    const method = 'transport.produceData';
    const maxMessageSize = this.#checkData(method);
    const { given, appData } = validate.options(options);
    const direct = this.#type === 'direct';
    const parsed = parseDataProducerOptions(given, direct, originPaused);
    const maxBufferedAmount = parseMaxBufferedAmount(given, direct ? undefined : MAX_HELD_OF_PEER);

    return this.#core.create(
      method,
      'dataProducer',
      (native, requestId) =>
        native.produceData(requestId, JSON.stringify(parsed), maxBufferedAmount, maxMessageSize),
      (core, /** @type {import('..').DataProducerDump} */ dump) => {
        const { id, type, label, protocol, sctpStreamParameters } = dump;
        const made = { id, type, label, protocol, sctpStreamParameters, maxMessageSize };
        const dataProducer = new DataProducer(core, Object.assign(parsed, made), appData);

        this.#dataProducers.set(id, dataProducer);
        core.onClosed(() => this.#dataProducers.take(id));
        emitOnObserver(this, 'newdataproducer', dataProducer);
        return dataProducer;
      },
    );
  }

  /**
   * @param {string} method
   * @param {keyof Bitrates} name
   * @param {number} bitrate - in bits per second; 0 is no limit.
   */
  async #setBitrate(method, name, bitrate) {
    const parsed = parseBitrates(this.#bitrates, name, bitrate);

    this.#core.check(method);
    if (this.#type === 'direct') {
      throw new UnsupportedError(`${name} cannot be set on a DirectTransport: it has no bitrates`);
    }
    this.#bitrates = parsed;
    await this.#core.request(method, (native, id) =>
      native.setBitrates(id, JSON.stringify(parsed)),
    );
  }

  /**
   * Checks what no argument changes.
   *
   * @param {string} method
   * @returns {number} the largest message that DataProducers of this transport accept, in bytes.
   * @throws {Error} if the transport carries no messages.
   */
  #checkData(method) {
    if (this.#maxReceiveMessageSize === undefined) {
      this.#core.check(method);
      throw new Error('SCTP not enabled and not a direct Transport: set enableSctp');
    }
    return this.#maxReceiveMessageSize;
  }
}

/**
 * @param {DataConsumer<any>} dataConsumer
 * @returns {Promise<void>} rejects if it has closed.
 */
function start(dataConsumer) {
  return coreOf(dataConsumer).request('dataConsumer.start', (/** @type {any} */ native, id) =>
    native.start(id),
  );
}

/**
 * Emits on a transport and then on its observer, unless a listener of the transport closes it.
 *
 * @param {Transport<any, any, any>} transport
 * @param {string} event
 * @param {unknown} arg
 * @param {unknown} [reason] - the second argument, if there is one.
 */
function emitBoth(transport, event, arg, reason) {
  const core = coreOf(transport);
  const args = reason === undefined ? [arg] : [arg, reason];

  if (core.debugEnabled) {
    core.debug(`transport: '${event}' ${args.map((each) => JSON.stringify(each)).join(' ')}`);
  }
  emitSafely(transport, event, copy(args));
  if (!core.closed) {
    emitOnObserver(transport, event, ...copy(args));
  }
}

exports.Transport = Transport;
exports.consumePiped = consumePiped;
exports.emitBoth = emitBoth;
exports.producePiped = producePiped;
