'use strict';

// What all rows share: measuring one load, and streams of numbered messages that show what is lost or out of order.

const fs = require('node:fs');
const { performance } = require('node:perf_hooks');

/** A stream whose messages have stopped coming for so long is given up, and what is missing counts as lost. */
const QUIET_MS = 5_000;
/** How many bytes of messages a stream has on the way at most, whatever its window. */
const WINDOW_BYTES = 8 * 1024 * 1024;

/**
 * What a load has done.
 *
 * @typedef {object} Outcome
 * @property {number} items - what the costs are divided by: delivered messages, round trips, connects …
 * @property {number} [lost]
 * @property {number} [disordered]
 * @property {ArrayLike<number> | (() => Promise<ArrayLike<number>>)} [latencies] - in µs; from another process they are
 * only fetched when the measuring is over.
 * @property {number} [cpuMicros] - of the process that did the work, if that is not this one
 * @property {Record<string, number>} [figures] - whatever else the row shows
 */

/**
 * @typedef {Outcome & {
 *   wallMicros: number, cpuMicros: number, workerMicros?: number, latencies?: ArrayLike<number>
 * }} Measured
 */

/**
 * Does a load and measures it. The CPU time is that of all threads of this process, and of the processes of workers
 * that are not threads.
 *
 * @param {() => Promise<Outcome>} load
 * @param {{ pid: number }[]} [workers]
 * @returns {Promise<Measured>}
 */
async function measure(load, workers = []) {
  global.gc?.();

  const workersBefore = workers.map(cpuOfWorker);
  const before = process.cpuUsage();
  const begin = performance.now();
  const { latencies, ...outcome } = await load();
  const wallMicros = (performance.now() - begin) * 1_000;
  const used = process.cpuUsage(before);
  const ofWorkers = workers.map((worker, index) => {
    const { micros, inside } = cpuOfWorker(worker);

    return { micros: micros - workersBefore[index].micros, inside };
  });
  const outside = sum(ofWorkers.filter(({ inside }) => !inside).map(({ micros }) => micros));

  return {
    wallMicros,
    cpuMicros: used.user + used.system + outside,
    workerMicros: sum(ofWorkers.map(({ micros }) => micros)),
    ...outcome,
    latencies: await (typeof latencies === 'function' ? latencies() : latencies),
  };
}

/**
 * The CPU time of a worker, which is a thread of this process or a process. 0 where the system does not tell.
 *
 * @param {{ pid: number }} worker
 * @returns {{ micros: number, inside: boolean }}
 */
function cpuOfWorker({ pid }) {
  const task = `/proc/self/task/${pid}`;
  const inside = fs.existsSync(task);

  return { micros: inside ? cpuOfTask(task) : cpuOfProcess(pid), inside };
}

/**
 * The CPU time of a process so far, in µs. 0 where the system does not tell.
 *
 * @param {number} pid
 */
function cpuOfProcess(pid) {
  return sum(tasksOf(pid).map(cpuOfTask));
}

/** @param {number} pid */
function tasksOf(pid) {
  try {
    return fs.readdirSync(`/proc/${pid}/task`).map((task) => `/proc/${pid}/task/${task}`);
  } catch {
    return [];
  }
}

/** @param {string} task */
function cpuOfTask(task) {
  try {
    return Number(fs.readFileSync(`${task}/schedstat`, 'utf8').split(' ')[0]) / 1_000;
  } catch {
    return 0;
  }
}

/** Checks the numbers of the messages of one stream. */
class Receiver {
  /** @type {(message: Uint8Array) => void} */
  #arrived = () => {};
  #next = 0;
  count = 0;
  disordered = 0;

  /** @param {import('node:events').EventEmitter} consumer - emits 'message' (message). */
  constructor(consumer) {
    consumer.on('message', (/** @type {Uint8Array} */ message) => {
      const number = numberOf(message);

      if (number !== this.#next) {
        this.disordered++;
      }
      this.#next = number + 1;
      this.count++;
      this.#arrived(message);
    });
  }

  /**
   * Starts anew, at 0.
   *
   * @param {(message: Uint8Array) => void} arrived - called for every message.
   */
  reset(arrived) {
    this.#arrived = arrived;
    this.#next = 0;
    this.count = 0;
    this.disordered = 0;
  }
}

/**
 * Sends `count` numbered messages and resolves when all receivers have got all of them, or nothing more comes. At most
 * `window` are on the way; when half of them have arrived, a later macrotask sends the next.
 *
 * @param {object} options
 * @param {(message: Buffer) => void} options.send
 * @param {Receiver[]} options.receivers
 * @param {number} options.count
 * @param {number} options.size
 * @param {number} [options.window]
 * @returns {Promise<Outcome>}
 */
function stream({ send, receivers, count, size, window = 2_000 }) {
  return new Promise((resolve, reject) => {
    const message = Buffer.alloc(size, 'x');
    const atMost = Math.max(2, Math.min(window, Math.floor(WINDOW_BYTES / size)));
    const total = count * receivers.length;
    let sent = 0;
    let arrived = 0;
    let goOnAt = 0;

    const watch = whenQuiet(() => arrived, end);

    function end() {
      clearInterval(watch);

      const disordered = sum(receivers.map((receiver) => receiver.disordered));

      resolve({ items: arrived, lost: total - arrived, disordered });
    }

    function arrive() {
      arrived++;
      if (arrived === total) {
        end();
      } else if (arrived === goOnAt) {
        setImmediate(fill);
      }
    }

    function fill() {
      const until = Math.min(count, sent + atMost, Math.ceil(arrived / receivers.length) + atMost);

      try {
        goOnAt = (until - atMost / 2) * receivers.length;
        while (sent < until) {
          message.writeUInt32LE(sent, 0);
          sent++;
          send(message);
        }
        // What is delivered within send() has left nothing that could make us go on.
        if (sent < count && arrived >= goOnAt) {
          goOnAt = 0;
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
 * Calls `end` when nothing has happened for a while.
 *
 * @param {() => number} progress
 * @param {() => void} end
 * @returns {NodeJS.Timeout} to be cleared.
 */
function whenQuiet(progress, end) {
  let seen = -1;

  return setInterval(() => {
    const now = progress();

    if (now === seen) {
      end();
    }
    seen = now;
  }, QUIET_MS);
}

/** `openLoop()` measures one in so many messages: reading the clock costs as much as a message. */
const SAMPLE = 32;
/** What `openLoop()` has on the way at most. What waits for that is late, and is measured as such. */
const OPEN_WINDOW = 20_000;

/**
 * Sends `count` numbered messages when they are due, whatever has become of those before them, and measures how long
 * after that they arrive: in a loop that does not sleep, as a timer is hundreds of times too coarse.
 *
 * @param {object} options
 * @param {(message: Buffer) => void} options.send
 * @param {Receiver} options.receiver
 * @param {number} options.count
 * @param {number} options.size
 * @param {number} options.perSecond
 * @returns {Promise<Outcome>}
 */
function openLoop({ send, receiver, count, size, perSecond }) {
  return new Promise((resolve, reject) => {
    const message = Buffer.alloc(size, 'x');
    const begin = process.hrtime.bigint();
    /** @type {number[]} */
    const latencies = [];
    let sent = 0;
    let arrived = 0;

    const watch = whenQuiet(() => arrived, end);

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
        const { buffer, byteOffset, length } = received;

        latencies.push(sinceStamp(Buffer.from(buffer, byteOffset, length)));
      }
      if (arrived === count) {
        end();
      }
    });
    tick();
  });
}

/**
 * Sends `count` numbered messages at an even pace, with the time written into each.
 *
 * @param {object} options
 * @param {(message: Buffer) => void} options.send
 * @param {number} options.count
 * @param {number} options.size
 * @param {number} options.perSecond - from 1,000 on several at a time, once in a millisecond.
 * @returns {Promise<void>} resolves when the last one is sent.
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
 * Sends the messages of these numbers at once.
 *
 * @param {object} options
 * @param {(message: Buffer) => void} options.send
 * @param {number} options.from
 * @param {number} options.to - the first number that is not sent.
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
 * Has `count` numbered messages sent as fast as they arrive at receivers in other processes: two batches are on the
 * way.
 *
 * @param {object} options
 * @param {(from: number, to: number) => unknown} options.send - sends the messages of these numbers.
 * @param {(count: number) => Promise<Outcome>} options.received - resolves when all receivers have so many.
 * @param {number} options.count
 * @param {number} [options.batch]
 * @returns {Promise<Outcome>}
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

/** Where a message says when it was sent: nanoseconds of the system's monotonic clock. */
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
 * How long ago a message was stamped, in µs. All processes of a machine have the same clock.
 *
 * @param {Buffer} message
 */
function sinceStamp(message) {
  return Number(process.hrtime.bigint() - message.readBigUInt64LE(STAMP)) / 1_000;
}

/**
 * The number that `stream()` and `paced()` write into a message.
 *
 * @param {Uint8Array} message
 */
function numberOf(message) {
  return (message[0] | (message[1] << 8) | (message[2] << 16) | (message[3] << 24)) >>> 0;
}

/** @param {number[]} values */
function sum(values) {
  return values.reduce((total, value) => total + value, 0);
}

/**
 * The value below which the given part of all values is.
 *
 * @param {ArrayLike<number>} values
 * @param {number} part - 0 to 1; 0.5 is the median.
 */
function quantile(values, part) {
  const sorted = Float64Array.from(values).sort();

  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))];
}

/** @param {number} ms */
function sleep(ms) {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

exports.Receiver = Receiver;
exports.burst = burst;
exports.cpuOfProcess = cpuOfProcess;
exports.inBatches = inBatches;
exports.measure = measure;
exports.numberOf = numberOf;
exports.openLoop = openLoop;
exports.paced = paced;
exports.quantile = quantile;
exports.sinceStamp = sinceStamp;
exports.sleep = sleep;
exports.stamp = stamp;
exports.stream = stream;
exports.sum = sum;
exports.whenQuiet = whenQuiet;
