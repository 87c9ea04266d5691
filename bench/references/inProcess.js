'use strict';

// References of the rows without WebRTC: a plain EventEmitter, and a thread of worker_threads.

const { EventEmitter, once } = require('node:events');
const { performance } = require('node:perf_hooks');
const { Worker } = require('node:worker_threads');

const { Receiver, stream } = require('../messages');

/**
 * Emits the messages on a plain EventEmitter, without a thread or a copy: the least that a 'message' event can cost.
 *
 * @param {{ count: number, size: number, consumers?: number }} options
 * @returns {import('../types').Load}
 */
function emitter({ count, size, consumers = 1 }) {
  const emitters = Array.from({ length: consumers }, () => new EventEmitter());
  const receivers = emitters.map((each) => Receiver.of(each));
  const send = (/** @type {Buffer} */ message) => {
    for (const each of emitters) {
      each.emit('message', message, 53);
    }
  };

  return { run: () => stream({ send, receivers, count, size }), close() {} };
}

/**
 * A thread of worker_threads that sends back what it receives.
 *
 * @returns {Worker}
 */
function echoThread() {
  const code = `
    const { parentPort } = require('node:worker_threads');
    parentPort.on('message', (message) => parentPort.postMessage(message));
  `;

  return new Worker(code, { eval: true });
}

/**
 * Sends the messages of `emitter()` to a thread and back.
 *
 * @param {{ count: number, size: number }} options
 * @returns {import('../types').Load}
 */
function thread({ count, size }) {
  const worker = echoThread();
  const receivers = [Receiver.of(worker)];
  const send = (/** @type {Buffer} */ message) => worker.postMessage(message);

  return {
    run: () => stream({ send, receivers, count, size }),
    close: async () => void (await worker.terminate()),
  };
}

/**
 * Round trips to a thread, one at a time.
 *
 * @param {{ count: number, size: number, trips?: number }} options - `trips` times to the thread and back count as one
 * round trip.
 * @returns {import('../types').Load}
 */
function threadPingPong({ count, size, trips = 1 }) {
  const worker = echoThread();
  const message = Buffer.alloc(size, 'x');

  return {
    async run() {
      const latencies = [];

      for (let index = 0; index < count; index++) {
        const begin = performance.now();

        for (let trip = 0; trip < trips; trip++) {
          worker.postMessage(message);
          await once(worker, 'message');
        }
        latencies.push((performance.now() - begin) * 1_000);
      }
      return { items: count, latencies };
    },
    close: async () => void (await worker.terminate()),
  };
}

exports.echoThread = echoThread;
exports.emitter = emitter;
exports.thread = thread;
exports.threadPingPong = threadPingPong;
