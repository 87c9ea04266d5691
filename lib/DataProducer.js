'use strict';

const { Demand } = require('./Demand');
const { emitSafely } = require('./EnhancedEventEmitter');
const { Entity, coreOf, emitOnObserver, isEntity } = require('./Entity');
const { Logger } = require('./Logger');
const { MessageWritable } = require('./MessageWritable');
const { NotFoundError, WorkerClosedError } = require('./errors');
const { copy } = require('./copy');
const { drained } = require('./drained');
const { setLimit } = require('./limit');
const { parseMoveOptions } = require('./options/data');
const {
  packSubchannels,
  parseMessage,
  parseOptionalSubchannel,
  parsePpid,
  parseSubchannels,
} = require('./options/message');
const validate = require('./options/validate');
const { tolerate } = require('./tolerate');

/** @import { AppData, DataProducer as Contract } from '..' */
/** @import { DataProducer as Native } from '../native/binding' */

/** The results of the native `send` functions. */
const ACCEPTED = 0;
const QUEUE_FULL = 1;
const TOO_LARGE = 2;

const logger = new Logger('DataProducer');

/** @type {(dataProducer: DataProducer<any>) => Demand} */
let demandOf;

/**
 * @template {AppData} [A=AppData]
 * @extends {Entity<import('..').DataProducerEvents, import('..').DataProducerObserverEvents, A>}
 * @implements {Contract<A>}
 */
class DataProducer extends Entity {
  #core;
  #id;
  #type;
  #sctpStreamParameters;
  #label;
  #protocol;
  #retain;
  #whilePaused;
  /** Whether this object is paused, and whether the DataProducer at the other end of a pipe is. */
  #ownPaused;
  #originPaused;
  #maxMessageSize;
  /** @type {Demand | undefined} */
  #demand;
  /** The native functions of `send()`; undefined for type 'sctp', which cannot send. */
  #sendString;
  #sendBuffer;
  /**
   * Shared by the streams of `writable()`; made for the first one.
   *
   * @type {import('./MessageWritable').Sink | undefined}
   */
  #sink;

  static {
    demandOf = (dataProducer) =>
      (dataProducer.#demand ??= new Demand(dataProducer, () => dataProducer.#core.closed));
  }

  /**
   * @param {import('./Core').Core<Native>} core
   * @param {object} data
   * @param {string} data.id
   * @param {import('..').DataProducerType} data.type
   * @param {import('..').SctpStreamParameters} [data.sctpStreamParameters]
   * @param {string} data.label
   * @param {string} data.protocol
   * @param {boolean} data.paused
   * @param {import('..').WhilePaused} data.whilePaused
   * @param {boolean} data.originPaused
   * @param {import('./options/data').RetainOptions} [data.retain]
   * @param {number} data.maxMessageSize - the largest message that `send()` accepts, in bytes.
   * @param {A} appData
   */
  constructor(core, data, appData) {
    super(core, appData, { onEvent: (name, args) => this.#onEvent(name, args) });
    this.#core = core;
    this.#id = data.id;
    this.#type = data.type;
    this.#sctpStreamParameters = data.sctpStreamParameters;
    this.#label = data.label;
    this.#protocol = data.protocol;
    this.#retain = data.retain;
    this.#whilePaused = data.whilePaused;
    this.#ownPaused = data.paused;
    this.#originPaused = data.originPaused;
    this.#maxMessageSize = data.maxMessageSize;

    this.#sendString = data.type === 'direct' ? core.native.sendString : undefined;
    this.#sendBuffer = data.type === 'direct' ? core.native.sendBuffer : undefined;
  }

  get id() {
    return this.#id;
  }

  get type() {
    return this.#type;
  }

  get sctpStreamParameters() {
    return copy(this.#sctpStreamParameters);
  }

  get label() {
    return this.#label;
  }

  get protocol() {
    return this.#protocol;
  }

  get paused() {
    return this.#isPaused();
  }

  get retain() {
    return copy(this.#retain);
  }

  get whilePaused() {
    return this.#whilePaused;
  }

  get demand() {
    return demandOf(this).now;
  }

  get bufferedAmount() {
    return this.#core.native.bufferedAmount;
  }

  async dump() {
    return this.#core.request('dataProducer.dump', (native, id) => native.dump(id));
  }

  async getStats() {
    return this.#core.request('dataProducer.getStats', (native, id) => native.getStats(id));
  }

  /** @param {import('..').LimitOptions | null} [limit] */
  setLimit(limit) {
    return tolerate(
      () => setLimit(this.#core, 'dataProducer.setLimit', limit),
      () => {},
    );
  }

  closeWithStats() {
    return tolerate(
      () =>
        this.#core.closeAsking('dataProducer.closeWithStats', (native, id) =>
          native.closeWithStats(id),
        ),
      (/** @type {import('..').DataProducerStat[]} */ stats) => stats,
    );
  }

  /** @param {import('..').DrainedOptions} [options] */
  drained(options) {
    return drained(this.#core, 'dataProducer.drained', options);
  }

  pause() {
    return tolerate(
      () => this.#core.request('dataProducer.pause', (native, id) => native.pause(id)),
      () => this.#setOwnPaused(true),
    );
  }

  resume() {
    return tolerate(
      () => this.#core.request('dataProducer.resume', (native, id) => native.resume(id)),
      () => this.#setOwnPaused(false),
    );
  }

  /**
   * @param {import('./PipeTransport').PipeTransport<any>} transport
   * @param {{ sctpStreamParameters: import('..').SctpStreamParameters }} options
   */
  async moveTo(transport, options) {
    const method = 'dataProducer.moveTo';

    if (!isEntity(transport, 'transport') || transport.type !== 'pipe') {
      throw validate.wrongEntity('transport', transport, 'a PipeTransport');
    }

    const parsed = parseMoveOptions(validate.object(options, 'options'));
    const target = coreOf(transport);

    this.#core.check(method);
    target.check(method);
    if (target.channel !== this.#core.channel) {
      throw new TypeError(`transport belongs to another Worker ${validate.got(transport)}`);
    }
    await this.#core.request(method, (native, id) =>
      target.native.takeOver(id, native, JSON.stringify(parsed)),
    );
    this.#sctpStreamParameters = parsed.sctpStreamParameters;
    this.#core.moveBelow(target);
  }

  clearRetained() {
    return tolerate(
      () =>
        this.#core.request('dataProducer.clearRetained', (native, id) => native.clearRetained(id)),
      () => {},
    );
  }

  /**
   * @param {import('..').Payload} message
   * @param {number} [ppid]
   * @param {number[]} [subchannels]
   * @param {number} [requiredSubchannel]
   * @param {number} [ignoredSubchannel]
   */
  send(message, ppid, subchannels, requiredSubchannel, ignoredSubchannel) {
    if (this.#sendString === undefined || this.#sendBuffer === undefined) {
      throw needsDirect('send', this.#type);
    }

    // Most calls give no subchannels, and fewer arguments make the native call faster.
    const plain =
      subchannels === undefined &&
      requiredSubchannel === undefined &&
      ignoredSubchannel === undefined;
    /** @type {[number[]?, number?, number?]} */
    const routing = plain
      ? []
      : [
          validate.given(subchannels) ? packSubchannels(parseSubchannels(subchannels)) : undefined,
          parseOptionalSubchannel(requiredSubchannel, 'requiredSubchannel'),
          parseOptionalSubchannel(ignoredSubchannel, 'ignoredSubchannel'),
        ];
    // The message is checked last, as reading the subchannels may run getters that change the message.
    const checked = parseMessage(message);
    const checkedPpid = parsePpid(checked, ppid);

    if (this.#core.closed) {
      this.#dropClosed();
      return;
    }

    let outcome;

    if (typeof checked === 'string') {
      outcome = plain
        ? this.#sendString(checked, checkedPpid)
        : this.#sendString(checked, checkedPpid, ...routing);
    } else {
      outcome = plain
        ? this.#sendBuffer(checked, checkedPpid)
        : this.#sendBuffer(checked, checkedPpid, ...routing);
    }
    if (outcome !== ACCEPTED) {
      throw this.#notAccepted(outcome, checked);
    }
    this.#core.channel.flushSoon();
  }

  writable() {
    const method = 'dataProducer.writable';

    if (this.#type !== 'direct') {
      throw needsDirect('writable', this.#type);
    }
    this.#core.check(method);
    this.#sink ??= this.#makeSink(method);
    return new MessageWritable(this.#sink);
  }

  /**
   * @param {string} method
   * @returns {import('./MessageWritable').Sink}
   */
  #makeSink(method) {
    /** @type {import('./MessageWritable').Sink} */
    const sink = {
      send: (...args) => this.send(.../** @type {[any]} */ (args)),
      routed: () => this.#core.ask(method, (native, id) => native.routed(id)),
      drained: (signal) => drained(this.#core, 'dataProducer.drained', { signal }),
      waiting: new Set(),
      open: new Set(),
    };

    this.#core.onClosing(() => {
      for (const writable of sink.open) {
        writable.abort(
          this.#core.channel.closed
            ? closedWorker()
            : new NotFoundError('the DataProducer closed before its stream had finished'),
        );
      }
    });
    return sink;
  }

  /**
   * @param {string} name
   * @param {any[]} args
   */
  #onEvent(name, args) {
    switch (name) {
      case 'drain':
        this.#onDrain();
        break;
      case 'streamclose':
        emitSafely(this, 'streamclose', []);
        break;
      case 'limit':
        emitSafely(this, 'limit', [args[0]]);
        break;
      case 'limitpause':
        this.#pauseByLimit();
        break;
      case 'limitclose':
        this.#core.end();
        break;
      case 'originpause':
        this.#setOriginPaused(true);
        break;
      case 'originresume':
        this.#setOriginPaused(false);
        break;
      default:
        this.#core.onUnknownEvent(name);
    }
  }

  #onDrain() {
    emitSafely(this, 'drain', []);

    const waiting = [...(this.#sink?.waiting ?? [])];

    this.#sink?.waiting.clear();
    for (const retry of waiting) {
      retry();
    }
  }

  #isPaused() {
    return this.#ownPaused || this.#originPaused;
  }

  /** @param {boolean} paused */
  #setOwnPaused(paused) {
    const before = this.#isPaused();

    this.#ownPaused = paused;
    if (this.#isPaused() !== before && !this.#core.closed) {
      emitOnObserver(this, paused ? 'pause' : 'resume');
    }
  }

  #pauseByLimit() {
    const before = this.#isPaused();

    this.#ownPaused = true;
    this.#emitPause(before);
  }

  /** @param {boolean} paused */
  #setOriginPaused(paused) {
    const before = this.#isPaused();

    this.#originPaused = paused;
    this.#emitPause(before);
  }

  /**
   * Emits a pause or resume that the application did not request.
   *
   * @param {boolean} before - whether the DataProducer was paused before the change.
   */
  #emitPause(before) {
    if (this.#isPaused() === before) {
      return;
    }

    const event = before ? 'resume' : 'pause';

    emitSafely(this, event, []);
    if (!this.#core.closed) {
      emitOnObserver(this, event);
    }
  }

  #dropClosed() {
    if (this.#core.channel.closed) {
      throw closedWorker();
    }
    logger.warn(`send(): message dropped, the DataProducer is closed [id:${this.#id}]`);
  }

  /**
   * The error that `send()` throws for a message that the native side did not accept.
   *
   * @param {number} outcome - QUEUE_FULL, TOO_LARGE, or any other value if the Worker is closed.
   * @param {string | Buffer} message
   * @returns {Error}
   */
  #notAccepted(outcome, message) {
    switch (outcome) {
      case QUEUE_FULL: {
        const error = new Error('send queue full: wait for the drain event');

        return Object.assign(error, { code: 'ERR_SEND_QUEUE_FULL' });
      }
      case TOO_LARGE:
        return new TypeError(
          `message of ${Buffer.byteLength(message)} bytes exceeds ` +
            `maxReceiveMessageSize (${this.#maxMessageSize}) of the transport`,
        );
      default:
        return closedWorker();
    }
  }
}

/**
 * @param {string} method
 * @param {import('..').DataProducerType} type
 */
function needsDirect(method, type) {
  return new TypeError(`${method}() needs a DataProducer of type 'direct' (this one is '${type}')`);
}

function closedWorker() {
  return new WorkerClosedError(
    'the Worker is closed (Channel closed, cannot send notification [event:DATAPRODUCER_SEND])',
  );
}

exports.DataProducer = DataProducer;
exports.demandOf = demandOf;
