'use strict';

const { Buffer } = require('node:buffer');
const { performance } = require('node:perf_hooks');
const { setImmediate } = require('node:timers');

const { Table } = require('./Table');
const { WorkerClosedError, errorFrom } = require('./errors');

/** The bytes of the scratch; a message over an eighth of them is taken by itself. */
const SCRATCH_BYTES = 64 * 1024;
/** The most messages that one call of `drain()` returns. */
const RECORDS = 512;
/** The words before the first record: the number of records, and why the native side stopped. */
const HEADER = 2;
/** The words of a record: target, ppid, offset, length. */
const RECORD = 4;
/**
 * How long a drain runs before it yields to other work of the event loop, in milliseconds. Each drain that runs out of
 * time, because listeners are slower than the senders, doubles it, up to the maximum.
 */
const CYCLE_MS = 5;
const MAX_CYCLE_MS = 40;
/** A drain reads the clock once per this many messages. */
const CLOCK_EVERY = 8;

const SETTLED = Promise.resolve();

/** Why `drain()` stopped, and what `peek()` returns. CONTINUE means that a message is next. */
const DONE = 0;
const CONTINUE = 2;
const LARGE_MESSAGE = 3;
const ANSWER = 4;
const EVENT = 5;

/**
 * @typedef {object} Target - receives the events and messages of one object.
 * @property {(name: string, args: any[]) => void} onEvent
 * @property {(message: Buffer, ppid: number) => void} [onMessage]
 */

/**
 * @typedef {[ok: boolean, result: any]} Answer - the result, or the description of an error: see `resultOf()`.
 *
 * @typedef {object} Pending
 * @property {string} method
 * @property {(answer: Answer) => void} settle
 */

/**
 * The way to one worker and back.
 *
 * Down: every request has an id. The id of a request that creates an object is also the handle of that object. The
 * worker runs the calls in their order, so each sees the effect of those before it without awaiting them.
 *
 * Up: answers, events and messages come through one queue, in the order in which they happened. The native side wakes
 * JavaScript when the queue is no longer empty, and JavaScript drains the queue:
 *
 *     wake ──► drain() ──► messages … ──► answers … ──► stop, continue in a later macrotask
 *                ▲   └──► messages … ──► event ──┐
 *                └────────────────────────────────┘   until the queue is empty, or for about 5 ms
 *
 * Stopping after answers lets the code that awaits them run before the next event or message is delivered: that code
 * cannot miss the first message of a DataConsumer, or its 'dataproducerclose'.
 */
class Channel {
  /** @type {import('../native/binding').Worker} */
  #native;
  /** @type {Table<number, Pending>} */
  #pending = new Table();
  /** @type {Table<number, Target>} */
  #targets = new Table();
  #lastId = 0;
  #maxId;
  #closed = false;

  /** Messages on their way: each becomes a Buffer with memory of its own before the next call of `drain()`. */
  #scratch = new Uint8Array(SCRATCH_BYTES);
  #records = new Uint32Array(HEADER + RECORDS * RECORD);
  /** The next record to deliver, the number of records, and why `drain()` stopped after them. */
  #next = 0;
  #count = 0;
  #stop = CONTINUE;
  #cycleMs = CYCLE_MS;
  /** Whether a later macrotask continues the drain. */
  #scheduled = false;
  /** Whether calls may be waiting for the next flush. */
  #unflushed = false;
  /** Whether a microtask will flush. */
  #flushScheduled = false;
  /** Whether a drain is running: a drain flushes when it ends, so no microtask has to. */
  #draining = false;
  #endMacrotask = () => {
    this.#flushScheduled = false;
    this.#flush();
  };

  /**
   * @param {new (wake: () => void) => import('../native/binding').Worker} Worker
   * @param {number} [maxId] - the largest request id, below 2^32. Tests set a smaller one to see ids wrap.
   */
  constructor(Worker, maxId = 0xffffffff) {
    this.#maxId = maxId;
    this.#native = new Worker(() => {
      // A listener may run an event loop of its own, in which this is called during a drain.
      if (!this.#scheduled && !this.#draining) {
        this.#stop = CONTINUE;
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

  /**
   * Rejects the pending requests. From now on only the events of the worker itself are delivered: the end of its thread
   * is still to come.
   */
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
      const message = `the Worker is closed (Channel closed, request aborted [method:${shout(method)}])`;

      settle([false, { name: 'WorkerClosedError', message }]);
    }
  }

  /**
   * Makes a request. The requests of one macrotask are handed over together when it ends.
   *
   * @template T
   * @param {string} method - e.g. 'router.createDirectTransport', for errors.
   * @param {(requestId: number) => T} call - the native call.
   * @returns {{ handle: number, native: T, answer: Promise<Answer> }} the request's id, and what the call returned.
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
      throw new WorkerClosedError(
        `the Worker is closed (Channel closed, cannot send request [method:${shout(method)}])`,
      );
    }
  }

  /**
   * Has the native side hand over, when this macrotask ends, what was requested and sent in it. Call this after every
   * native call that requests or sends something.
   */
  flushSoon() {
    this.#unflushed = true;
    if (!this.#flushScheduled && !this.#draining) {
      this.#flushScheduled = true;
      // Not queueMicrotask(), which test runners replace together with the timers.
      SETTLED.then(this.#endMacrotask);
    }
  }

  #flush() {
    if (this.#unflushed) {
      this.#unflushed = false;
      this.#native.flush();
    }
  }

  /**
   * Delivers the events and messages of the object `handle`.
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

  /** Ids wrap, so those that a request or an object still uses are skipped. */
  #newId() {
    do {
      this.#lastId = this.#lastId === this.#maxId ? 1 : this.#lastId + 1;
    } while (this.#pending.get(this.#lastId) || this.#targets.get(this.#lastId));
    return this.#lastId;
  }

  #drain() {
    let finished = false;

    this.#draining = true;
    try {
      this.#deliver();
      finished = true;
    } finally {
      this.#draining = false;
      if (!finished) {
        // Listeners cannot throw into a drain; should anything else do so, then what is left is delivered later.
        this.#continueLater();
      }
      this.#flush();
    }
  }

  /** Delivers what an earlier call left, then what is queued. */
  #deliver() {
    const deadline = performance.now() + this.#cycleMs;

    for (;;) {
      if (!this.#deliverMessages(deadline)) {
        return this.#continueBehind();
      }
      switch (this.#stop) {
        case DONE:
          // The native side did not wake JavaScript for what it queued during this drain, as the queue was not empty.
          if (this.#native.peek() === DONE) {
            this.#cycleMs = CYCLE_MS;
            return;
          }
          this.#stop = CONTINUE;
          return this.#continueLater();
        case ANSWER:
          this.#stop = CONTINUE;
          this.#takeAnswers();
          return this.#continueLater();
        case EVENT:
          this.#stop = CONTINUE;
          this.#takeEvent();
          break;
        default:
          break;
      }
      if (performance.now() > deadline) {
        return this.#continueBehind();
      }
      // Flush here, so that what listeners send does not wait for the end of the drain.
      this.#flush();
      this.#native.drain(this.#scratch, this.#records);
      this.#next = 0;
      this.#count = this.#records[0];
      this.#stop = this.#records[1];
    }
  }

  /** Gives the next drain more time and continues later, because this drain ran out of time. */
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
   * @returns {boolean} false if time ran out before the last message.
   */
  #deliverMessages(deadline) {
    const records = this.#records;

    while (this.#next < this.#count) {
      const index = this.#next++;
      const at = HEADER + index * RECORD;
      const large = this.#stop === LARGE_MESSAGE && this.#next === this.#count;
      const message = large
        ? this.#native.takeBuffer()
        : copyOf(this.#scratch, records[at + 2], records[at + 3]);

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

    // An event of a closed object finds no target, as the object is unsubscribed: closed objects emit nothing more.
    this.#targets.get(handle)?.onEvent(name, args);
  }
}

/**
 * Takes the result out of an answer. Call this from the awaiting function, so that the stack of an error reaches the
 * application's call.
 *
 * @param {Answer} answer
 * @returns {any} the result.
 * @throws {Error} the error that the answer describes.
 */
function resultOf([ok, result]) {
  if (!ok) {
    throw errorFrom(result);
  }
  return result;
}

/**
 * Copies a message into memory of its own, so that its ArrayBuffer holds this message alone: the application may keep,
 * change, transfer or clone it.
 *
 * @param {Uint8Array} scratch
 * @param {number} offset
 * @param {number} length
 * @returns {Buffer}
 */
function copyOf(scratch, offset, length) {
  const message = Buffer.alloc(length);

  message.set(scratch.subarray(offset, offset + length));
  return message;
}

/**
 * Turns 'router.createDirectTransport' into 'ROUTER_CREATE_DIRECTTRANSPORT', the name of mediasoup's request, because
 * errors also have mediasoup's texts.
 *
 * @param {string} method
 */
function shout(method) {
  const [entity, verb] = method.split('.');

  return `${entity}${verb.replace(/^|[A-Z]\w*(?:Server|Transport)$|[A-Z]/g, '_$&')}`.toUpperCase();
}

exports.Channel = Channel;
exports.resultOf = resultOf;
