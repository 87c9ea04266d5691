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
 * @property {number[]} [latencies] - in µs
 * @property {number} [cpuMicros] - of the process that did the work, if that is not this one
 * @property {Record<string, number>} [figures] - whatever else the row shows
 */

/** @typedef {Outcome & { wallMicros: number, cpuMicros: number, workerMicros?: number }} Measured */

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
  const outcome = await load();
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
  };
}

/**
 * The CPU time of a worker, which is a thread of this process or a process. 0 where the system does not tell.
 *
 * @param {{ pid: number }} worker
 * @returns {{ micros: number, inside: boolean }}
 */
function cpuOfWorker({ pid }) {
  const inside = fs.existsSync(`/proc/self/task/${pid}`);
  const tasks = inside ? [`/proc/self/task/${pid}`] : tasksOf(pid);

  return { micros: sum(tasks.map(cpuOfTask)), inside };
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
  /** @type {() => void} */
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
      this.#arrived();
    });
  }

  /**
   * Starts anew, at 0.
   *
   * @param {() => void} arrived - called for every message.
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
    let seen = -1;

    const watch = setInterval(() => {
      if (arrived === seen) {
        end();
      }
      seen = arrived;
    }, QUIET_MS);

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
 * Sends `count` numbered messages at an even pace.
 *
 * @param {object} options
 * @param {(message: Buffer) => void} options.send
 * @param {number} options.count
 * @param {number} options.size
 * @param {number} options.perSecond
 * @returns {Promise<void>} resolves when the last one is sent.
 */
function paced({ send, count, size, perSecond }) {
  return new Promise((resolve) => {
    const message = Buffer.alloc(size, 'x');
    const begin = performance.now();
    let sent = 0;

    function tick() {
      const due = Math.min(
        count,
        1 + Math.floor(((performance.now() - begin) * perSecond) / 1_000),
      );

      while (sent < due) {
        message.writeUInt32LE(sent++, 0);
        send(message);
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
 * The number that `stream()` and `paced()` write into a message.
 *
 * @param {Uint8Array} message
 */
function numberOf(message) {
  return (message[0] | (message[1] << 8) | (message[2] << 16) | (message[3] << 24)) >>> 0;
}

/** Where a stamp is, behind the number. */
const STAMP = 8;

/**
 * Writes the time into a message of 16 bytes or more.
 *
 * @param {Buffer} message
 */
function stamp(message) {
  message.writeBigUInt64LE(process.hrtime.bigint(), STAMP);
  return message;
}

/**
 * How long ago a message was stamped, in whatever process of this machine, in µs.
 *
 * @param {Buffer} message
 */
function ageOf(message) {
  return Number(process.hrtime.bigint() - message.readBigUInt64LE(STAMP)) / 1_000;
}

/** @param {number[]} values */
function sum(values) {
  return values.reduce((total, value) => total + value, 0);
}

/**
 * The value below which the given part of all values is.
 *
 * @param {number[]} values
 * @param {number} part - 0 to 1; 0.5 is the median.
 */
function quantile(values, part) {
  const sorted = Float64Array.from(values).sort();

  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))];
}

module.exports = { Receiver, ageOf, measure, numberOf, paced, quantile, stamp, stream, sum };
