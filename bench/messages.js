'use strict';

// Streams of numbered messages: the numbers show what is lost or out of order, and a time written into a message shows
// how long it took.

const { performance } = require('node:perf_hooks');

const { sum } = require('./statistics');

/** A stream without a new message for this long has ended; what is missing counts as lost. */
const QUIET_MS = 5_000;
/** The most bytes that `stream()` has in transit, however large its window of messages is. */
const WINDOW_BYTES = 8 * 1024 * 1024;

const ignore = () => {};

/** Checks the numbers of the messages of one stream. */
class Receiver {
  /** @type {(message: Uint8Array) => void} */
  #onMessage = ignore;
  #next = 0;
  count = 0;
  disordered = 0;

  /**
   * The receiver of an object that emits 'message' (message).
   *
   * @param {import('node:events').EventEmitter} consumer
   */
  static of(consumer) {
    return new Receiver((listener) => consumer.on('message', listener));
  }

  /** @param {(listener: (message: Uint8Array) => void) => unknown} subscribe */
  constructor(subscribe) {
    subscribe((message) => {
      const number = numberOf(message);

      if (number !== this.#next) {
        this.disordered++;
      }
      this.#next = number + 1;
      this.count++;
      this.#onMessage(message);
    });
  }

  /**
   * Expects message 0 next.
   *
   * @param {(message: Uint8Array) => void} [onMessage] - called for every message.
   */
  reset(onMessage = ignore) {
    this.#onMessage = onMessage;
    this.#next = 0;
    this.count = 0;
    this.disordered = 0;
  }

  /**
   * Calls `listener` for every message too.
   *
   * @param {() => void} listener
   * @returns {() => void} a function that removes the listener.
   */
  watch(listener) {
    const onMessage = this.#onMessage;

    this.#onMessage = (message) => {
      onMessage(message);
      listener();
    };
    return () => (this.#onMessage = onMessage);
  }
}

/**
 * Resolves when each receiver has `count` messages since its `reset()`, or when messages stop coming.
 *
 * @param {Receiver[]} receivers
 * @param {number} count
 * @returns {Promise<import('./types').Outcome>}
 */
function allReceived(receivers, count) {
  return new Promise((resolve) => {
    const received = () => sum(receivers.map((receiver) => Math.min(receiver.count, count)));
    const total = count * receivers.length;
    let left = total - received();

    const quiet = onceQuiet(() => left, end);
    const unwatch = receivers.map((receiver) =>
      receiver.watch(() => {
        if (receiver.count <= count && --left === 0) {
          end();
        }
      }),
    );

    function end() {
      clearInterval(quiet);
      unwatch.forEach((stop) => stop());
      resolve({
        items: received(),
        lost: left,
        disordered: sum(receivers.map(({ disordered }) => disordered)),
      });
    }

    if (left === 0) {
      end();
    }
  });
}

/**
 * Sends `count` numbered messages. Resolves when all receivers have all of them, or when messages stop coming. At most
 * `window` are in transit; after half of them have arrived, a later macrotask sends more.
 *
 * @param {object} options
 * @param {(message: Buffer) => void} options.send
 * @param {Receiver[]} options.receivers
 * @param {number} options.count
 * @param {number} options.size
 * @param {number} [options.window]
 * @returns {Promise<import('./types').Outcome>}
 */
function stream({ send, receivers, count, size, window = 2_000 }) {
  return new Promise((resolve, reject) => {
    const message = Buffer.alloc(size, 'x');
    const atMost = Math.max(2, Math.min(window, Math.floor(WINDOW_BYTES / size)));
    const total = count * receivers.length;
    let sent = 0;
    let arrived = 0;
    let refillAt = 0;

    const watch = onceQuiet(() => arrived, end);

    function end() {
      clearInterval(watch);

      const disordered = sum(receivers.map((receiver) => receiver.disordered));

      resolve({ items: arrived, lost: total - arrived, disordered });
    }

    function arrive() {
      arrived++;
      if (arrived === total) {
        end();
      } else if (arrived === refillAt) {
        setImmediate(fill);
      }
    }

    function fill() {
      const until = Math.min(count, sent + atMost, Math.ceil(arrived / receivers.length) + atMost);

      try {
        refillAt = (until - atMost / 2) * receivers.length;
        while (sent < until) {
          message.writeUInt32LE(sent, 0);
          sent++;
          send(message);
        }
        // If send() itself delivered the messages, no later arrival calls fill().
        if (sent < count && arrived >= refillAt) {
          refillAt = 0;
          setImmediate(fill);
        }
      } catch (error) {
        clearInterval(watch);
        reject(error);
      }
    }

    receivers.forEach((receiver) => receiver.reset(arrive));
    fill();
  });
}

/**
 * Calls `end` when `progress` has not changed for `QUIET_MS`. The caller clears the interval.
 *
 * @param {() => number} progress
 * @param {() => void} end
 */
function onceQuiet(progress, end) {
  let seen = -1;

  return setInterval(() => {
    const now = progress();

    if (now === seen) {
      end();
    }
    seen = now;
  }, QUIET_MS);
}

/** `openLoop()` measures one message in this many, because reading the clock costs as much as a message. */
const SAMPLE = 32;
/** The most messages that `openLoop()` has in transit. A message that has to wait for room counts as late. */
const OPEN_WINDOW = 20_000;

/**
 * Sends `count` numbered messages when they are due, whether or not earlier ones have arrived. Latencies count from
 * the due time. It polls the clock in a busy loop, because timers are hundreds of times too coarse.
 *
 * @param {object} options
 * @param {(message: Buffer) => void} options.send
 * @param {Receiver} options.receiver
 * @param {number} options.count
 * @param {number} options.size
 * @param {number} options.perSecond
 * @returns {Promise<import('./types').Outcome>}
 */
function openLoop({ send, receiver, count, size, perSecond }) {
  return new Promise((resolve, reject) => {
    const message = Buffer.alloc(size, 'x');
    const begin = process.hrtime.bigint();
    /** @type {number[]} */
    const latencies = [];
    let sent = 0;
    let arrived = 0;

    const watch = onceQuiet(() => arrived, end);

    function end() {
      clearInterval(watch);

      const { disordered } = receiver;

      resolve({ items: arrived, lost: count - arrived, disordered, latencies });
    }

    function tick() {
      const elapsed = Number(process.hrtime.bigint() - begin) / 1e9;
      const due = Math.min(count, 1 + Math.floor(elapsed * perSecond), arrived + OPEN_WINDOW);

      try {
        for (; sent < due; sent++) {
          if (sent % SAMPLE === 0) {
            stamp(message, begin + BigInt(Math.round((sent / perSecond) * 1e9)));
          }
          message.writeUInt32LE(sent, 0);
          send(message);
        }
      } catch (error) {
        clearInterval(watch);
        return reject(error);
      }
      if (sent < count) {
        setImmediate(tick);
      }
    }

    receiver.reset((received) => {
      if (arrived++ % SAMPLE === 0) {
        latencies.push(sinceStamp(received));
      }
      if (arrived === count) {
        end();
      }
    });
    tick();
  });
}

/**
 * Sends `count` numbered messages at an even pace, each with the time written into it.
 *
 * @param {object} options
 * @param {(message: Buffer) => void} options.send
 * @param {number} options.count
 * @param {number} options.size
 * @param {number} options.perSecond - above 1,000, one burst per millisecond.
 * @returns {Promise<void>} resolves when the last message is sent.
 */
function paced({ send, count, size, perSecond }) {
  return new Promise((resolve, reject) => {
    const message = Buffer.alloc(size, 'x');
    const begin = performance.now();
    let sent = 0;

    function tick() {
      const due = Math.min(
        count,
        1 + Math.floor(((performance.now() - begin) * perSecond) / 1_000),
      );

      try {
        while (sent < due) {
          message.writeUInt32LE(sent++, 0);
          stamp(message);
          send(message);
        }
      } catch (error) {
        return reject(error);
      }
      if (sent === count) {
        resolve();
      } else {
        setTimeout(tick, Math.max(1, (sent * 1_000) / perSecond - (performance.now() - begin)));
      }
    }

    tick();
  });
}

/**
 * Sends the messages with these numbers at once.
 *
 * @param {object} options
 * @param {(message: Buffer) => void} options.send
 * @param {number} options.from
 * @param {number} options.to - exclusive.
 * @param {number} options.size
 */
function burst({ send, from, to, size }) {
  const message = Buffer.alloc(size, 'x');

  for (let number = from; number < to; number++) {
    message.writeUInt32LE(number, 0);
    stamp(message);
    send(message);
  }
}

/**
 * Sends `count` numbered messages as fast as receivers in other processes take them, with two batches in transit.
 *
 * @param {object} options
 * @param {(from: number, to: number) => unknown} options.send - sends the messages with these numbers.
 * @param {(count: number) => Promise<import('./types').Outcome>} options.received - resolves when each receiver has
 * this many.
 * @param {number} options.count
 * @param {number} [options.batch]
 * @returns {Promise<import('./types').Outcome>}
 */
async function inBatches({ send, received, count, batch = 100 }) {
  for (let begin = 0; begin < count; begin += batch) {
    await send(begin, Math.min(count, begin + batch));

    const outcome = await received(begin);

    if (outcome.lost) {
      return outcome;
    }
  }
  return received(count);
}

/**
 * Sends numbered messages to receivers in several processes: at a pace, or as fast as they take them.
 *
 * @param {{ count: number, perSecond?: number }} load
 * @param {object} calls
 * @param {() => Promise<unknown>} calls.paced - sends all at that pace.
 * @param {(from: number, to: number) => unknown} calls.burst - sends the messages with these numbers.
 * @param {(count: number) => Promise<import('./types').Outcome>[]} calls.received - one of each process; they resolve
 * when each receiver has this many.
 * @returns {Promise<import('./types').Outcome>}
 */
async function toProcesses({ count, perSecond }, calls) {
  const received = async (/** @type {number} */ messages) => {
    const outcomes = await Promise.all(calls.received(messages));
    const total = (/** @type {'items' | 'lost' | 'disordered'} */ name) =>
      sum(outcomes.map((outcome) => outcome[name] ?? 0));

    return {
      items: total('items'),
      lost: total('lost'),
      disordered: total('disordered'),
      latencies: async () => (await Promise.all(outcomes.map(latenciesOf))).flat(),
    };
  };

  if (perSecond === undefined) {
    return inBatches({ send: calls.burst, received, count });
  }

  const outcome = received(count);

  await calls.paced();
  return outcome;
}

/** @param {import('./types').Outcome} outcome */
async function latenciesOf({ latencies = [] }) {
  return Array.from(typeof latencies === 'function' ? await latencies() : latencies);
}

/** Offset of the time at which a message was sent, in nanoseconds of the system's monotonic clock. */
const STAMP = 8;

/**
 * Writes the time into a message.
 *
 * @param {Buffer} message - of 16 bytes at least
 * @param {bigint} [time]
 */
function stamp(message, time = process.hrtime.bigint()) {
  message.writeBigUInt64LE(time, STAMP);
}

/**
 * How long ago a message was stamped, in µs. All processes of a machine share the clock.
 *
 * @param {Uint8Array} message
 */
function sinceStamp({ buffer, byteOffset, length }) {
  const sent = Buffer.from(buffer, byteOffset, length).readBigUInt64LE(STAMP);

  return Number(process.hrtime.bigint() - sent) / 1_000;
}

/**
 * The number of a message.
 *
 * @param {Uint8Array} message
 */
function numberOf(message) {
  return (message[0] | (message[1] << 8) | (message[2] << 16) | (message[3] << 24)) >>> 0;
}

exports.Receiver = Receiver;
exports.allReceived = allReceived;
exports.burst = burst;
exports.inBatches = inBatches;
exports.numberOf = numberOf;
exports.openLoop = openLoop;
exports.paced = paced;
exports.sinceStamp = sinceStamp;
exports.stamp = stamp;
exports.stream = stream;
exports.toProcesses = toProcesses;
