'use strict';

const { Buffer } = require('node:buffer');
const { performance } = require('node:perf_hooks');
const { setImmediate } = require('node:timers');
const { markAsUntransferable } = require('node:worker_threads');

const { Table } = require('./Table');
const { WorkerClosedError, errorFrom } = require('./errors');

/** Messages are copied into slabs of this size and handed out as parts of it; those above an eighth come on their own. */
const SLAB_BYTES = 16 * 1024;
/** How many messages one call of `drain()` hands over at most. */
const RECORDS = 512;
/** The words that come before the first record: how many there are, and why the native side stopped. */
const HEADER = 2;
/** The words of a record: target, ppid, offset, length. */
const RECORD = 4;
/**
 * After so many milliseconds other work of the event loop gets its turn. While we fall behind, because listeners take
 * longer than others take to send, it is twice as long each time, up to the maximum.
 */
const CYCLE_MS = 5;
const MAX_CYCLE_MS = 40;
/** How many messages are delivered between two looks at the clock. */
const CLOCK_EVERY = 8;

const SETTLED = Promise.resolve();

/** Why `drain()` stopped, and what `peek()` sees next. GO_ON: there was no room for another record. */
const DONE = 0;
const SLAB_FULL = 1;
const GO_ON = 2;
const LARGE_MESSAGE = 3;
const ANSWER = 4;
const EVENT = 5;

/**
 * @typedef {object} Target - who is told what the worker has for one object.
 * @property {(name: string, args: any[]) => void} onEvent
 * @property {(message: Buffer, ppid: number) => void} [onMessage]
 */

/**
 * @typedef {[ok: boolean, result: any]} Answer - the result, or what describes the error: see `resultOf()`.
 *
 * @typedef {object} Pending
 * @property {string} method
 * @property {(answer: Answer) => void} settle
 */

/**
 * The way to one worker and back.
 *
 * Down: every request has an id, and a request that creates an object gives it its id as its handle. The calls go to
 * the worker in their order, so nothing has to be awaited for the next one to see its effect.
 *
 * Up: answers, events and messages come through ONE queue, in the order in which they happened. The native side wakes
 * us when it is no longer empty, and we drain it:
 *
 *     wake ──► drain() ──► messages … ──► answers … ──► break off, go on in a later macrotask
 *                ▲   └──► messages … ──► event ──┐
 *                └────────────────────────────────┘   until the queue is done, or for about 5 ms
 *
 * The break-off is what lets the code that awaits an answer run before the next event or message is delivered: nobody
 * can miss the first message of a DataConsumer, or its 'dataproducerclose'.
 */
class Channel {
  /** @type {import('../native/binding').Worker} */
  #native;
  /** @type {Table<number, Pending>} */
  #pending = new Table();
  /** @type {Table<number, Target>} */
  #targets = new Table();
  #lastId = 0;
  #closed = false;

  #slab = newSlab();
  #offset = 0;
  #records = new Uint32Array(HEADER + RECORDS * RECORD);
  /** The next record to deliver, their number, and what comes after them. */
  #next = 0;
  #count = 0;
  #stop = GO_ON;
  #cycleMs = CYCLE_MS;
  /** Whether a later macrotask goes on. */
  #scheduled = false;
  /** Whether `flush()` is about to be called. */
  #flushing = false;
  #flush = () => {
    this.#flushing = false;
    this.#native.flush();
  };

  /** @param {new (wake: () => void) => import('../native/binding').Worker} Worker */
  constructor(Worker) {
    this.#native = new Worker(() => {
      if (!this.#scheduled) {
        this.#stop = GO_ON;
        this.#drain();
      }
    });
  }

  get native() {
    return this.#native;
  }

  get closed() {
    return this.#closed;
  }

  /** Rejects what is pending; from now on there are only events of the worker itself. */
  close() {
    this.#closed = true;

    const worker = this.#targets.get(0);
    const pending = this.#pending.values();

    this.#targets.clear();
    this.#pending.clear();
    if (worker) {
      this.#targets.set(0, worker);
    }
    for (const { method, settle } of pending) {
      const message = `Channel closed, request aborted [method:${shout(method)}]`;

      settle([false, { name: 'WorkerClosedError', message }]);
    }
  }

  /**
   * Makes a request. Those of one macrotask go out together when it ends.
   *
   * @template T
   * @param {string} method - e.g. 'router.createDirectTransport', for errors.
   * @param {(requestId: number) => T} call - the native call.
   * @returns {{ handle: number, native: T, answer: Promise<Answer> }} what the call returned, and the answer to come.
   * @throws {WorkerClosedError}
   */
  post(method, call) {
    this.check(method);

    const requestId = this.#newId();
    const native = call(requestId);
    const answer = new Promise((settle) => this.#pending.set(requestId, { method, settle }));

    this.flushSoon();
    return { handle: requestId, native, answer };
  }

  /**
   * @param {string} method
   * @throws {WorkerClosedError}
   */
  check(method) {
    if (this.#closed) {
      throw new WorkerClosedError(`Channel closed, cannot send request [method:${shout(method)}]`);
    }
  }

  /** Has what was asked for and sent in this macrotask, and waits for each other, go out when it ends. */
  flushSoon() {
    if (!this.#flushing) {
      this.#flushing = true;
      // Not queueMicrotask(), which test runners replace together with the timers.
      SETTLED.then(this.#flush);
    }
  }

  /**
   * Delivers what comes for `handle`.
   *
   * @param {number} handle - 0 is the worker itself.
   * @param {Target} target
   */
  subscribe(handle, target) {
    this.#targets.set(handle, target);
  }

  /** @param {number} handle */
  unsubscribe(handle) {
    this.#targets.take(handle);
  }

  /** Ids are 32 bits wide and come round, so one that is still in use must be skipped. */
  #newId() {
    do {
      this.#lastId = this.#lastId === 0xffffffff ? 1 : this.#lastId + 1;
    } while (this.#pending.get(this.#lastId) || this.#targets.get(this.#lastId));
    return this.#lastId;
  }

  /** Goes on where it broke off, then takes what is queued. */
  #drain() {
    const deadline = performance.now() + this.#cycleMs;

    for (;;) {
      if (!this.#deliverMessages(deadline)) {
        return this.#continueBehind();
      }
      switch (this.#stop) {
        case DONE:
          // What has come since the cycle began may not wake us: the queue was not empty.
          if (this.#native.peek() === DONE) {
            this.#cycleMs = CYCLE_MS;
            return;
          }
          this.#stop = GO_ON;
          return this.#continueLater();
        case ANSWER:
          this.#stop = GO_ON;
          this.#takeAnswers();
          return this.#continueLater();
        case EVENT:
          this.#stop = GO_ON;
          this.#takeEvent();
          break;
        case SLAB_FULL:
          this.#slab = newSlab();
          this.#offset = 0;
          break;
        default:
          break;
      }
      if (performance.now() > deadline) {
        return this.#continueBehind();
      }
      this.#offset = this.#native.drain(this.#slab, this.#offset, this.#records);
      this.#next = 0;
      this.#count = this.#records[0];
      this.#stop = this.#records[1];
    }
  }

  /** Time ran out. */
  #continueBehind() {
    this.#cycleMs = Math.min(2 * this.#cycleMs, MAX_CYCLE_MS);
    this.#continueLater();
  }

  #continueLater() {
    this.#scheduled = true;
    setImmediate(() => {
      this.#scheduled = false;
      this.#drain();
    });
  }

  /**
   * @param {number} deadline
   * @returns {boolean} false if time ran out before the last one.
   */
  #deliverMessages(deadline) {
    const records = this.#records;
    // What `subarray()` would give, at two thirds of its cost.
    const slab = this.#slab.buffer;

    while (this.#next < this.#count) {
      const index = this.#next++;
      const at = HEADER + index * RECORD;
      const large = this.#stop === LARGE_MESSAGE && this.#next === this.#count;
      const message = large
        ? this.#native.takeBuffer()
        : Buffer.from(slab, records[at + 2], records[at + 3]);

      this.#targets.get(records[at])?.onMessage?.(message, records[at + 1]);
      if (index % CLOCK_EVERY === CLOCK_EVERY - 1 && performance.now() > deadline) {
        return this.#next === this.#count;
      }
    }
    return true;
  }

  #takeAnswers() {
    for (const [requestId, ok, result] of JSON.parse(this.#native.takeAnswers())) {
      this.#pending.take(requestId)?.settle([ok, result]);
    }
  }

  #takeEvent() {
    const [handle, name, ...args] = JSON.parse(this.#native.takeEvent());

    // What is closed has been unsubscribed, and emits nothing more.
    this.#targets.get(handle)?.onEvent(name, args);
  }
}

/**
 * To be called by who awaits the answer, so that the stack of an error leads to the application's call.
 *
 * @param {Answer} answer
 * @returns {any} the result.
 * @throws {Error} what the answer describes.
 */
function resultOf([ok, result]) {
  if (!ok) {
    throw errorFrom(result);
  }
  return result;
}

/**
 * A region of a slab that was handed out is never written to again: when the slab is full, there is a new one. It
 * cannot be transferred to another thread either, which would take away the other messages in it.
 */
function newSlab() {
  const slab = Buffer.allocUnsafeSlow(SLAB_BYTES);

  markAsUntransferable(slab.buffer);
  return slab;
}

/**
 * 'router.createDirectTransport' → 'ROUTER_CREATE_DIRECTTRANSPORT', as applications know it from mediasoup.
 *
 * @param {string} method
 */
function shout(method) {
  const [entity, verb] = method.split('.');

  return `${entity}${verb.replace(/^|[A-Z]\w*(?:Server|Transport)$|[A-Z]/g, '_$&')}`.toUpperCase();
}

exports.Channel = Channel;
exports.resultOf = resultOf;
