'use strict';

const { setImmediate } = require('node:timers');

/** After this many messages in a row the next one comes in a later macrotask, so that other work gets its turn. */
const BURST = 256;

/**
 * @typedef {{ message: Buffer, ppid: number }} Received
 * @typedef {(received: Received | undefined) => void} Callback - called with undefined at the end.
 *
 * @typedef {object} Native - what the native DataConsumer has for it.
 * @property {() => void} beginPulls
 * @property {() => [message: Buffer, ppid: number] | null} pull - if there is no message, the event 'ready' follows.
 * @property {() => void} endPulls - discards what could have been pulled.
 * @property {() => void} closePulls - from now on all that is queued can be pulled.
 */

/**
 * Ends iterators and streams that were garbage-collected unfinished, because a DataProducer might wait for them.
 *
 * @type {FinalizationRegistry<MessageSource>}
 */
const abandoned = new FinalizationRegistry((source) => source.release());

/**
 * The messages of a direct DataConsumer for its iterators and `readable()` streams. These ask for each message; the
 * others stay in the native queue, under the policy of the DataConsumer.
 *
 *     request() ──► pull() ──► callback
 *                     └── nothing there: 'ready' ──► pull() ──► callback
 *
 * Each message goes to one request, in the order of the requests.
 */
class MessageSource {
  #native;
  #setActive;
  /** How many iterators and streams there are. */
  #users = 0;
  /**
   * Messages that come unasked, because they were on their way before the first request; and the index of the next one.
   *
   * @type {Received[]}
   */
  #early = [];
  #nextEarly = 0;
  /** @type {Callback[]} */
  #requests = [];
  #served = 0;
  /** Whether a later macrotask serves the requests. */
  #scheduled = false;
  #closed = false;

  /**
   * @param {Native} native
   * @param {(active: boolean) => void} setActive - called when the first user comes and when the last one goes.
   */
  constructor(native, setActive) {
    this.#native = native;
    this.#setActive = setActive;
  }

  /**
   * An iterator or stream begins.
   *
   * @param {object} user
   */
  open(user) {
    abandoned.register(user, this, user);
    if (this.#users++ === 0 && !this.#closed) {
      this.#setActive(true);
      this.#native.beginPulls();
    }
  }

  /**
   * An iterator or stream ends for good; a second call does nothing. After the last one, waiting messages are
   * discarded.
   *
   * @param {object} [user] - undefined if it was garbage-collected.
   */
  release(user) {
    if (user && !abandoned.unregister(user)) {
      return;
    }
    if (--this.#users === 0) {
      this.#early = [];
      this.#nextEarly = 0;
      this.#native.endPulls();
      this.#setActive(false);
    }
  }

  /**
   * Asks for one message, or for the end.
   *
   * @param {Callback} callback - may be called at once.
   */
  request(callback) {
    this.#requests.push(callback);
    this.#serve();
  }

  /** @param {Callback[]} callbacks */
  cancel(callbacks) {
    const cancelled = new Set(callbacks);

    this.#requests = this.#requests.filter((each) => !cancelled.has(each));
  }

  /**
   * A message comes unasked.
   *
   * @param {Buffer} message
   * @param {number} ppid
   */
  onMessage(message, ppid) {
    this.#early.push({ message, ppid });
    this.#serve();
  }

  /** A message has come since a request found none. */
  onReady() {
    this.#serve();
  }

  /** The DataConsumer has closed. */
  onClosed() {
    this.#closed = true;
    this.#setActive(false);
    this.#native.closePulls();
    this.#serve();
  }

  #serve() {
    while (this.#requests.length > 0 && !this.#scheduled) {
      const received = this.#take();

      if (!received && !this.#closed) {
        this.#served = 0;
        return;
      }
      this.#requests.shift()?.(received);
      if (received && ++this.#served === BURST) {
        this.#served = 0;
        this.#scheduled = true;
        setImmediate(() => {
          this.#scheduled = false;
          this.#serve();
        });
      }
    }
  }

  /** @returns {Received | undefined} */
  #take() {
    if (this.#nextEarly < this.#early.length) {
      return this.#early[this.#nextEarly++];
    }
    if (this.#nextEarly > 0) {
      this.#early = [];
      this.#nextEarly = 0;
    }

    const pulled = this.#native.pull();

    return pulled ? { message: pulled[0], ppid: pulled[1] } : undefined;
  }
}

exports.MessageSource = MessageSource;
