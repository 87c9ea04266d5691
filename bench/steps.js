'use strict';

// npm run bench:steps
//
// The steps of a message between DirectTransports, in nanoseconds. Each step is measured alone, many times, and the
// fastest counts, because other load on the machine can only add to it. `IMPL=PATH` measures another module.

const { EventEmitter } = require('node:events');
const { performance } = require('node:perf_hooks');
const { setTimeout: sleep } = require('node:timers/promises');

const { readOptions } = require('../scripts/options');
const { IMPL } = require('./implementation');

/** @type {any} */
const api = require(IMPL);

/** Messages per burst. */
const BURST = 500;
const ROUNDS = 300;
const SIZES = [100, 1_024, 16 * 1_024];

const nanos = (/** @type {number} */ milliseconds) => milliseconds * 1e6;
/** @type {{ step: string, figures: (number | undefined)[] }[]} */
const steps = [];

/**
 * @param {string} step
 * @param {...(number | undefined)} figures - one for each of SIZES.
 */
function add(step, ...figures) {
  steps.push({ step, figures });
}

/** @param {number[]} times */
const fastest = (times) => Math.min(...times);

async function direct() {
  const worker = await api.createWorker();
  const router = await worker.createRouter();
  const transport = await router.createDirectTransport();
  const producer = await transport.produceData();
  const consumer = await transport.consumeData({ dataProducerId: producer.id });

  return { worker, producer, consumer };
}

/**
 * Measures bursts: the calls of send() and, after the worker has queued all messages, the time from the first listener
 * to the last.
 *
 * @param {number} size
 */
async function bursts(size) {
  const { worker, producer, consumer } = await direct();
  const message = Buffer.alloc(size);
  const count = Math.min(BURST, Math.floor((4 << 20) / size));
  /** @type {number[]} */
  const calls = [];
  /** @type {number[]} */
  const listeners = [];

  for (let round = 0; round < ROUNDS; round++) {
    let left = count;
    let first = 0;
    const arrived = new Promise((resolve) => {
      consumer.on('message', () => {
        if (left === count) {
          first = performance.now();
        }
        if (--left === 0) {
          listeners.push(nanos(performance.now() - first) / (count - 1));
          resolve(undefined);
        }
      });
    });

    const begin = performance.now();

    for (let sent = 0; sent < count; sent++) {
      producer.send(message);
    }
    calls.push(nanos(performance.now() - begin) / count);

    // The gathered messages leave after the microtasks; then JavaScript is busy, and the queue fills.
    await undefined;
    await undefined;
    for (const until = performance.now() + 2; performance.now() < until;);
    await arrived;
    consumer.removeAllListeners('message');
  }
  worker.close();
  return { call: fastest(calls), listener: fastest(listeners) };
}

/**
 * CPU time of the worker's thread per message.
 *
 * @param {number} size
 */
async function thread(size) {
  const { worker, producer, consumer } = await direct();
  const message = Buffer.alloc(size);
  const total = Math.min(2_000_000, Math.floor(2 ** 32 / size));
  const count = Math.min(BURST, Math.floor((4 << 20) / size));
  let received = 0;
  /** @type {() => void} */
  let next = () => {};

  consumer.on('message', () => {
    if (++received % count === 0) {
      next();
    }
  });

  const before = await worker.getResourceUsage();

  for (let sent = 0; sent < total; sent += count) {
    const arrived = new Promise((resolve) => (next = () => resolve(undefined)));

    for (let index = 0; index < count; index++) {
      producer.send(message);
    }
    await arrived;
  }

  const after = await worker.getResourceUsage();

  worker.close();
  return nanos(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime) / received;
}

/** The same listener on a plain EventEmitter. */
function emitter() {
  const emitter = new EventEmitter();
  const message = Buffer.alloc(100);
  const times = [];
  let received = 0;

  emitter.on('message', () => received++);
  for (let round = 0; round < ROUNDS; round++) {
    const begin = performance.now();

    for (let count = 0; count < BURST; count++) {
      emitter.emit('message', message, 53);
    }
    times.push(nanos(performance.now() - begin) / BURST);
  }
  return fastest(times);
}

/** A call that wakes the sleeping worker, and the time until the message is back, with both threads asleep before. */
async function wakes() {
  const { worker, producer, consumer } = await direct();
  const message = Buffer.alloc(100);
  const calls = [];
  const there = [];

  for (let round = 0; round < ROUNDS; round++) {
    await sleep(3);

    const arrived = new Promise((resolve) => consumer.once('message', resolve));
    const begin = performance.now();

    producer.send(message);
    calls.push(nanos(performance.now() - begin));
    await arrived;
    there.push(nanos(performance.now() - begin));
  }
  worker.close();
  return { call: fastest(calls), there: fastest(there) };
}

async function main() {
  readOptions({});

  const inBursts = [];
  const onThread = [];

  for (const size of SIZES) {
    inBursts.push(await bursts(size));
    onThread.push(await thread(size));
  }
  add('send(): the call, a copy, the queue', ...inBursts.map(({ call }) => call));
  add('worker: queue, routing, queue, its wakes', ...onThread);
  add('drain, a Buffer, the event', ...inBursts.map(({ listener }) => listener));
  add('floor: emit() of an EventEmitter', emitter());

  const { call, there } = await wakes();

  add('send() that wakes the worker', call);
  add('from send() to the listener, both threads asleep before', there);

  const width = Math.max(...steps.map(({ step }) => step.length));

  console.log(`${'ns'.padEnd(width)} ${SIZES.map((size) => `${size} B`.padStart(10)).join('')}`);
  for (const { step, figures } of steps) {
    const cells = figures.map((figure) => (figure ?? 0).toFixed(0).padStart(10));

    console.log(`${step.padEnd(width)} ${cells.join('')}`);
  }
}

main();
