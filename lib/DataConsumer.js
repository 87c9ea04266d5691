'use strict';

const { Entity, emitOnObserver } = require('./Entity');
const { copy } = require('./copy');
const { parsePpid, parseSubchannel, parseSubchannels } = require('./options/message');
const validate = require('./options/validate');

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

  /**
   * @param {import('./Core').Core<Native>} core
   * @param {import('..').DataConsumerDump} data
   * @param {A} appData
   */
  constructor(core, data, appData) {
    super(core, appData, {
      onEvent: (name, args) => this.#onEvent(name, args),
      onMessage: (message, ppid) => this.safeEmit('message', message, ppid),
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

  get bufferedAmount() {
    return this.#core.native.bufferedAmount;
  }

  async dump() {
    return this.#core.request('dataConsumer.dump', (native, id) => native.dump(id));
  }

  async getStats() {
    return this.#core.request('dataConsumer.getStats', (native, id) => native.getStats(id));
  }

  async pause() {
    await this.#core.request('dataConsumer.pause', (native, id) => native.pause(id));
    this.#setPaused(true);
  }

  async resume() {
    await this.#core.request('dataConsumer.resume', (native, id) => native.resume(id));
    this.#setPaused(false);
  }

  /** @param {number} threshold */
  async setBufferedAmountLowThreshold(threshold) {
    const method = 'dataConsumer.setBufferedAmountLowThreshold';
    const bytes = validate.integer(threshold, 'threshold');

    this.#checkSctp(method);
    await this.#core.request(method, (native, id) =>
      native.setBufferedAmountLowThreshold(id, bytes),
    );
  }

  async getBufferedAmount() {
    const method = 'dataConsumer.getBufferedAmount';

    this.#checkSctp(method);
    return this.#core.request(method, (native, id) => native.getBufferedAmount(id));
  }

  /**
   * @param {string | Buffer} message
   * @param {number} [ppid]
   */
  send(message, ppid) {
    // A peer may leave or stop reading at any time, so these errors must not end the process of an application that does
    // not await. Invalid arguments still do.
    const sent = this.#send(message, ppid, () => sent.catch(() => {}));

    return sent;
  }

  /** @param {number[]} subchannels */
  async setSubchannels(subchannels) {
    const parsed = parseSubchannels(subchannels);

    await this.#core.request('dataConsumer.setSubchannels', (native, id) =>
      native.setSubchannels(id, parsed),
    );
    this.#subchannels = new Set(parsed);
  }

  /** @param {number} subchannel */
  async addSubchannel(subchannel) {
    const parsed = parseSubchannel(subchannel, 'subchannel');

    await this.#core.request('dataConsumer.addSubchannel', (native, id) =>
      native.addSubchannel(id, parsed),
    );
    this.#subchannels.add(parsed);
  }

  /** @param {number} subchannel */
  async removeSubchannel(subchannel) {
    const parsed = parseSubchannel(subchannel, 'subchannel');

    await this.#core.request('dataConsumer.removeSubchannel', (native, id) =>
      native.removeSubchannel(id, parsed),
    );
    this.#subchannels.delete(parsed);
  }

  /**
   * @param {string | Buffer} message
   * @param {number | undefined} ppid
   * @param {() => void} onExpected - called before the promise rejects for another reason than invalid arguments.
   * @returns {Promise<number>}
   */
  async #send(message, ppid, onExpected) {
    const method = 'dataConsumer.send';
    const checkedPpid = parsePpid(message, ppid);

    try {
      if (!this.closed) {
        this.#checkType(method);
      }
      // `ask()` rejects later, also if the DataConsumer is closed, so the promise of this call exists by then.
      return await this.#core.ask(method, (native, id) => native.send(id, message, checkedPpid));
    } catch (error) {
      if (!(error instanceof TypeError)) {
        onExpected();
      }
      throw error;
    }
  }

  /**
   * @param {string} name
   * @param {any[]} args
   */
  #onEvent(name, args) {
    switch (name) {
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
        this.safeEmit('sctpsendbufferfull');
        break;
      case 'bufferedamountlow':
        this.safeEmit('bufferedamountlow', args[0]);
        break;
      case 'overflow':
        this.safeEmit('overflow', args[0]);
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
    this.safeEmit(event);
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

    if (now !== before && !this.closed) {
      emitOnObserver(this, now ? 'pause' : 'resume');
    }
  }

  /**
   * @param {string} method
   * @throws {TypeError}
   */
  #checkSctp(method) {
    this.#core.check(method);
    this.#checkType(method);
  }

  /**
   * @param {string} method
   * @throws {TypeError}
   */
  #checkType(method) {
    if (this.#type !== 'sctp') {
      throw new TypeError(`${method}() needs a DataConsumer of type 'sctp' (this one is 'direct')`);
    }
  }
}

exports.DataConsumer = DataConsumer;
