'use strict';

const { emitSafely, onListenerError } = require('./EnhancedEventEmitter');
const { Entity, emitOnObserver } = require('./Entity');
const { MessageIterator } = require('./MessageIterator');
const { MessageReadable } = require('./MessageReadable');
const { MessageSource } = require('./MessageSource');
const { copy } = require('./copy');
const { drained } = require('./drained');
const {
  packSubchannels,
  parseMessage,
  parsePpid,
  parseSubchannel,
  parseSubchannels,
} = require('./options/message');
const { parseOverflow } = require('./options/data');
const validate = require('./options/validate');
const { tolerate } = require('./tolerate');

/** @import { AppData, DataConsumer as Contract } from '..' */
/** @import { DataConsumer as Native } from '../native/binding' */

/**
 * @template {AppData} [A=AppData]
 * @extends {Entity<import('..').DataConsumerEvents, import('..').DataConsumerObserverEvents, A>}
 * @implements {Contract<A>}
 */
class DataConsumer extends Entity {
  #core;
  #id;
  #dataProducerId;
  #type;
  #sctpStreamParameters;
  #label;
  #protocol;
  #paused;
  #dataProducerPaused;
  #subchannels;
  #overflow;
  #demand;
  #whilePaused;
  /**
   * Shared by iterators and streams; made for the first one.
   *
   * @type {MessageSource | undefined}
   */
  #source;

  /**
   * @param {import('./Core').Core<Native>} core
   * @param {import('..').DataConsumerDump} data
   * @param {A} appData
   * @param {object} options
   * @param {import('..').DataConsumerOverflow} [options.overflow]
   * @param {import('..').WhilePaused} options.whilePaused
   * @param {import('./Demand').Demand} [demand] - of its DataProducer.
   */
  constructor(core, data, appData, { overflow = 'drop-newest', whilePaused }, demand) {
    super(core, appData, {
      onEvent: (name, args) => this.#onEvent(name, args),
      onMessage: (message, ppid) => this.#onMessage(message, ppid),
    });
    this.#core = core;
    this.#id = data.id;
    this.#dataProducerId = data.dataProducerId;
    this.#type = data.type;
    this.#sctpStreamParameters = data.sctpStreamParameters;
    this.#label = data.label;
    this.#protocol = data.protocol;
    this.#paused = data.paused;
    this.#dataProducerPaused = data.dataProducerPaused;
    this.#subchannels = new Set(data.subchannels);
    this.#overflow = overflow;
    this.#whilePaused = whilePaused;
    this.#demand = demand;
    demand?.add(data.id, () => this.#subchannels);
    core.onClosed(() => demand?.remove(data.id));
  }

  get id() {
    return this.#id;
  }

  get dataProducerId() {
    return this.#dataProducerId;
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
    return this.#paused;
  }

  get dataProducerPaused() {
    return this.#dataProducerPaused;
  }

  get subchannels() {
    return [...this.#subchannels];
  }

  get whilePaused() {
    return this.#whilePaused;
  }

  get overflow() {
    return this.#overflow;
  }

  get bufferedAmount() {
    return this.#core.native.bufferedAmount;
  }

  async dump() {
    return this.#core.request('dataConsumer.dump', (native, id) => native.dump(id));
  }

  async getStats() {
    return this.#core.request('dataConsumer.getStats', (native, id) => native.getStats(id));
  }

  closeWithStats() {
    return tolerate(
      () =>
        this.#core.closeAsking('dataConsumer.closeWithStats', (native, id) =>
          native.closeWithStats(id),
        ),
      (/** @type {import('..').DataConsumerStat[]} */ stats) => stats,
    );
  }

  /** @param {import('..').DrainedOptions} [options] */
  drained(options) {
    return drained(this.#core, 'dataConsumer.drained', options);
  }

  pause() {
    return tolerate(
      () => this.#core.request('dataConsumer.pause', (native, id) => native.pause(id)),
      () => this.#setPaused(true),
    );
  }

  resume() {
    return tolerate(
      () => this.#core.request('dataConsumer.resume', (native, id) => native.resume(id)),
      () => this.#setPaused(false),
    );
  }

  /** @param {import('..').DataConsumerOverflow} overflow */
  setOverflow(overflow) {
    /** @type {any} */
    let parsed;

    return tolerate(
      () => {
        parsed = parseOverflow(overflow);
        if (parsed === 'block' && this.#whilePaused === 'hold') {
          throw new TypeError(
            `overflow 'block' cannot be combined with whilePaused 'hold' ${validate.got(overflow, this.#whilePaused)}`,
          );
        }
        return this.#core.request('dataConsumer.setOverflow', (native, id) =>
          native.setOverflow(id, JSON.stringify(parsed)),
        );
      },
      () => {
        this.#overflow = parsed;
      },
    );
  }

  /** @param {number} threshold */
  setBufferedAmountLowThreshold(threshold) {
    const method = 'dataConsumer.setBufferedAmountLowThreshold';

    return tolerate(
      () => {
        const bytes = validate.integer(threshold, 'threshold');

        this.#checkSctp(method);
        return this.#core.request(method, (native, id) =>
          native.setBufferedAmountLowThreshold(id, bytes),
        );
      },
      () => {},
    );
  }

  async getBufferedAmount() {
    const method = 'dataConsumer.getBufferedAmount';

    this.#checkSctp(method);
    return this.#core.request(method, (native, id) => native.getBufferedAmount(id));
  }

  /**
   * @param {import('..').Payload} message
   * @param {number} [ppid]
   */
  send(message, ppid) {
    const method = 'dataConsumer.send';

    return tolerate(
      () => {
        const checked = parseMessage(message);
        const checkedPpid = parsePpid(checked, ppid);

        this.#checkSctp(method);
        return this.#core.ask(method, (native, id) => native.send(id, checked, checkedPpid));
      },
      (/** @type {number} */ bufferedAmount) => bufferedAmount,
    );
  }

  readable() {
    const method = 'dataConsumer.readable';

    this.#checkPullable(method);
    this.#core.check(method);
    return new MessageReadable(this.#openSource());
  }

  [Symbol.asyncIterator]() {
    const check = () => this.#checkPullable('dataConsumer[Symbol.asyncIterator]');

    check();
    return new MessageIterator(this.#openSource(), check);
  }

  /** @param {number[]} subchannels */
  setSubchannels(subchannels) {
    return this.#subscribe(
      'setSubchannels',
      () => packSubchannels(parseSubchannels(subchannels)),
      (parsed) => {
        const before = this.#subchannels;

        this.#subchannels = new Set(parsed);
        this.#resubscribed(before, this.#subchannels);
      },
    );
  }

  /** @param {number} subchannel */
  addSubchannel(subchannel) {
    return this.#subscribe(
      'addSubchannel',
      () => parseSubchannel(subchannel, 'subchannel'),
      (parsed) => {
        if (!this.#subchannels.has(parsed)) {
          this.#subchannels.add(parsed);
          this.#resubscribed([], [parsed]);
        }
      },
    );
  }

  /** @param {number} subchannel */
  removeSubchannel(subchannel) {
    return this.#subscribe(
      'removeSubchannel',
      () => parseSubchannel(subchannel, 'subchannel'),
      (parsed) => {
        if (this.#subchannels.delete(parsed)) {
          this.#resubscribed([parsed], []);
        }
      },
    );
  }

  /**
   * @template {number | number[]} P
   * @param {'setSubchannels' | 'addSubchannel' | 'removeSubchannel'} name - of the native method.
   * @param {() => P} parse - returns its argument.
   * @param {(parsed: P) => void} done - changes `#subchannels` likewise.
   * @returns {Promise<void>}
   */
  #subscribe(name, parse, done) {
    /** @type {any} */
    let parsed;

    return tolerate(
      () => {
        parsed = parse();
        return this.#core.request(`dataConsumer.${name}`, (native, id) => native[name](id, parsed));
      },
      () => {
        done(parsed);
      },
    );
  }

  /**
   * @param {Iterable<number>} before
   * @param {Iterable<number>} after
   */
  #resubscribed(before, after) {
    if (!this.#core.closed) {
      this.#demand?.resubscribe(before, after);
    }
  }

  /**
   * Does what `emitSafely()` does, but without an array of arguments for each message.
   *
   * @param {Buffer} message
   * @param {number} ppid
   */
  #onMessage(message, ppid) {
    if (this.#core.pulled) {
      this.#source?.onMessage(message, ppid);
      return;
    }
    try {
      this.emit('message', message, ppid);
    } catch (thrown) {
      onListenerError(this, 'message', thrown);
    }
  }

  /**
   * @param {string} name
   * @param {any[]} args
   */
  #onEvent(name, args) {
    switch (name) {
      case 'overflowclose':
        this.#core.end();
        break;
      case 'ready':
        this.#source?.onReady();
        break;
      case 'dataproducerclose':
      case 'streamclose':
        this.#core.end(name);
        break;
      case 'dataproducerpause':
        this.#onDataProducerPaused(true, name);
        break;
      case 'dataproducerresume':
        this.#onDataProducerPaused(false, name);
        break;
      case 'sctpsendbufferfull':
        emitSafely(this, 'sctpsendbufferfull', []);
        break;
      case 'bufferedamountlow':
        emitSafely(this, 'bufferedamountlow', [args[0]]);
        break;
      case 'stalled':
      case 'unstalled':
        emitSafely(this, name, []);
        break;
      case 'overflow':
        emitSafely(this, 'overflow', [args[0]]);
        break;
      default:
        this.#core.onUnknownEvent(name);
    }
  }

  /**
   * @param {boolean} paused
   * @param {'dataproducerpause' | 'dataproducerresume'} event
   */
  #onDataProducerPaused(paused, event) {
    if (this.#dataProducerPaused === paused) {
      return;
    }

    const before = this.#paused || this.#dataProducerPaused;

    this.#dataProducerPaused = paused;
    emitSafely(this, event, []);
    this.#emitEffective(before);
  }

  /** @param {boolean} paused */
  #setPaused(paused) {
    const before = this.#paused || this.#dataProducerPaused;

    this.#paused = paused;
    this.#emitEffective(before);
  }

  /**
   * Emits 'pause' or 'resume' on the observer if the consumer was paused and no longer is, or the reverse. Its own
   * pause and that of its DataProducer are separate states, and either state pauses the consumer.
   *
   * @param {boolean} before - whether either pause was in force before the change.
   */
  #emitEffective(before) {
    const now = this.#paused || this.#dataProducerPaused;

    if (now !== before && !this.#core.closed) {
      emitOnObserver(this, now ? 'pause' : 'resume');
    }
  }

  #openSource() {
    if (!this.#source) {
      const source = new MessageSource(this.#core.native, (pulled) => {
        this.#core.pulled = pulled;
      });

      this.#source = source;
      if (this.closed) {
        source.onClosed();
      } else {
        this.#core.onClosing(() => source.onClosed());
      }
    }
    return this.#source;
  }

  /**
   * @param {string} method
   * @throws {TypeError}
   */
  #checkPullable(method) {
    if (this.#type !== 'direct') {
      throw new TypeError(`${method}() needs a DataConsumer of type 'direct' (this one is 'sctp')`);
    }
    if (this.listenerCount('message') > 0) {
      throw new TypeError(
        `${method}() does not work beside a 'message' listener: remove the listener first`,
      );
    }
  }

  /**
   * Checks the type, unless the request itself will be rejected because the DataConsumer is closed.
   *
   * @param {string} method
   * @throws {TypeError}
   */
  #checkSctp(method) {
    if (!this.closed && this.#type !== 'sctp') {
      throw new TypeError(`${method}() needs a DataConsumer of type 'sctp' (this one is 'direct')`);
    }
  }
}

exports.DataConsumer = DataConsumer;
