'use strict';

// npm run robustness -- busy [--only=REGEX] [--seconds=N] [--rounds=N] [--slack=1] [--json] [--list]
//
// How soon a worker with as much work as possible answers a peer of another router: STUN round trips, measured from
// another process, beside those of a worker that has nothing else to do while JavaScript and another thread spin. How soon
// a Router, a Worker, a process and a thread end while 1.1 million messages wait. How long the turns are in which 50,000
// DataConsumers close. Fails if, in the median round, the p99 of the round trip is over 5 ms (20 ms with 10,000
// DataConsumers), a port is not free after 50 ms, an end takes over 500 ms, fewer than 1.1 million messages waited for
// it, or a turn of the closing takes over 10 ms. Needs an idle machine with more than one core; on others, --slack=20
// multiplies the limits.

const { once } = require('node:events');
const path = require('node:path');
const { performance } = require('node:perf_hooks');
const { setImmediate: macrotask, setTimeout: sleep } = require('node:timers/promises');
const { Worker: Thread } = require('node:worker_threads');

const { answerOf, dtlsParametersOf } = require('../examples/sdp');
const { DatachannelClients } = require('../bench/clients/datachannel');
const { IMPL } = require('../bench/implementation');
const { Host } = require('../bench/processes/host');
const { quantile } = require('../bench/statistics');
const { Prober } = require('./load/prober');
const { runSuite } = require('./load/suite');
const { until } = require('./load/until');

const MAX_P99_MICROS = 5_000;
/** A single message to 10,000 DataConsumers of one DataProducer takes milliseconds. */
const MAX_P99_MICROS_TO_MANY = 20_000;
const MAX_PORT_MS = 50;
const MAX_END_MS = 500;
const MAX_TURN_MS = 10;
/** As long as a macrotask of the drain. */
const SPIN_MS = 5;
const MIN_QUEUED = 1_100_000;

const FULL = require.resolve('./load/fullProcess');
const LISTEN_INFO = { protocol: 'udp', ip: '127.0.0.1' };
/**
 * What waits for JavaScript is bounded to this for each DataConsumer, so that a thousand of them take little memory.
 */
const MAX_BUFFERED_AMOUNT = 16 * 1024;

/** A DataProducer that takes so many messages of one byte, each of which is charged 65. */
const MILLION = { maxBufferedAmount: 72 * 1024 * 1024 };

/**
 * @typedef {object} Case
 * @property {string} name
 * @property {string} title
 * @property {'spin' | 'direct' | 'client' | 'close' | 'end' | 'consumers'} kind - what makes the worker busy: nothing,
 * while other threads spin; a direct DataProducer, a WebRTC client, messages that wait while Routers close or while it
 * ends itself, DataConsumers that close.
 * @property {number} consumers - for 'spin' the number of threads.
 * @property {'worker' | 'process' | 'thread' | 'producer' | 'transport' | 'router' | 'each'} [by] - what ends, or what
 * closes the DataConsumers.
 * @property {number} [maxP99] - in µs, instead of 5 ms.
 */

/** @type {Case[]} */
const cases = [
  { name: 'spin-1', title: 'no messages, JavaScript spins', kind: 'spin', consumers: 1 },
  { name: 'spin-2', title: 'the same and another thread', kind: 'spin', consumers: 2 },
  { name: 'direct-1', title: 'a direct producer, 1 consumer', kind: 'direct', consumers: 1 },
  { name: 'direct-100', title: 'a direct producer, 100 consumers', kind: 'direct', consumers: 100 },
  { name: 'direct-1000', title: 'a direct producer, 1,000', kind: 'direct', consumers: 1_000 },
  {
    name: 'direct-10000',
    title: 'a direct producer, 10,000',
    kind: 'direct',
    consumers: 10_000,
    maxP99: MAX_P99_MICROS_TO_MANY,
  },
  {
    name: 'client-1000',
    title: 'a client, 1,000 full consumers',
    kind: 'client',
    consumers: 1_000,
  },
  { name: 'close', title: 'close Routers, 1.1 million messages', kind: 'close', consumers: 1_000 },
  ...[
    ['worker', 'worker.close()'],
    ['process', 'process.exit()'],
    ['thread', 'thread.terminate()'],
  ].map(
    ([by, title]) =>
      /** @type {Case} */ ({
        name: `close-${by}`,
        title: `${title}, 1.1 million messages`,
        kind: 'end',
        consumers: 1_000,
        by,
      }),
  ),
  ...[
    ['producer', 'their DataProducer'],
    ['transport', 'their transport'],
    ['router', 'their Router'],
    ['each', 'each by itself'],
  ].map(
    ([by, title]) =>
      /** @type {Case} */ ({
        name: `consumers-${by}`,
        title: `close 50,000 consumers: ${title}`,
        kind: 'consumers',
        consumers: 50_000,
        by,
      }),
  ),
];

/** A worker, a router that is busy, and a transport of another router, which is probed. */
class Scene {
  /**
   * @param {any} api
   * @param {Prober} [prober]
   */
  static async create(api, prober) {
    const worker = await api.createWorker();
    const router = await worker.createRouter();
    const other = await worker.createRouter();
    const probed = await other.createWebRtcTransport({ listenInfos: [LISTEN_INFO] });

    return new Scene({ worker, router, other, probed, prober });
  }

  /** @param {any} parts */
  constructor({ worker, router, other, probed, prober }) {
    this.worker = worker;
    this.router = router;
    this.other = other;
    this.probed = probed;
    this.prober = prober;
    /** The messages that direct DataConsumers have delivered. */
    this.delivered = 0;
  }

  /**
   * Adds a direct DataProducer with DataConsumers.
   *
   * @param {number} consumers
   * @param {object} [options] - of the DataProducer.
   */
  async produce(consumers, options) {
    const transport = await this.router.createDirectTransport();
    const producer = await transport.produceData(options);
    const dataConsumers = await this.consume(transport, producer, consumers);

    for (const consumer of dataConsumers) {
      consumer.on('message', () => this.delivered++);
    }
    return { transport, producer, dataConsumers };
  }

  /**
   * @param {any} transport
   * @param {any} producer
   * @param {number} count
   * @returns {Promise<any[]>}
   */
  async consume(transport, producer, count) {
    const options = { dataProducerId: producer.id, maxBufferedAmount: MAX_BUFFERED_AMOUNT };

    return Promise.all(Array.from({ length: count }, () => transport.consumeData(options)));
  }

  /**
   * What the worker says of itself for monitoring.
   *
   * @returns {Promise<import('../lib/answers').WorkerMetrics>}
   */
  async metrics() {
    const { gather } = require(path.join(IMPL, 'lib/metrics/gather'));
    const { workers } = require(path.join(IMPL, 'lib/metrics/workers'));

    await gather();
    return Array.from(workers).find(({ pid }) => pid === this.worker.pid).last;
  }
}

/**
 * Sends as fast as the DataProducer takes messages, until `stopped()`.
 *
 * @param {any} producer
 * @param {() => boolean} stopped
 */
async function flood(producer, stopped) {
  const message = Buffer.alloc(100, 'x');

  while (!stopped()) {
    try {
      for (let sent = 0; sent < 256; sent++) {
        producer.send(message);
      }
    } catch {
      await once(producer, 'drain');
    }
    await macrotask();
  }
}

/**
 * Sends until the queue of the DataProducer is full.
 *
 * @param {any} producer
 * @returns {number} how many messages that took.
 */
function fill(producer) {
  for (let sent = 0; ; sent++) {
    try {
      producer.send('x');
    } catch {
      return sent;
    }
  }
}

/**
 * Probes, and counts the copies that are routed and delivered meanwhile.
 *
 * @param {Scene} scene
 * @param {any} producer
 * @param {number} consumers
 * @param {number} seconds
 */
async function probe(scene, producer, consumers, seconds) {
  const { prober, probed, worker } = scene;
  const { turns } = await scene.metrics();
  const [before] = await producer.getStats();
  const deliveredBefore = scene.delivered;
  const begin = performance.now();
  const trips = await prober.probe(probed, { seconds });
  const [after] = await producer.getStats();
  const elapsed = (performance.now() - begin) / 1_000;
  const routed = (after.messagesReceived - before.messagesReceived) * consumers;

  return {
    trips,
    routedPerSecond: routed / elapsed,
    deliveredPerSecond: (scene.delivered - deliveredBefore) / elapsed,
    dump: await worker.dump(),
    turnMs: longestTurn(turns, (await scene.metrics()).turns),
  };
}

/**
 * The longest turn of those that were counted between two answers of `metrics()`, as the bounds of its bucket in ms.
 *
 * @param {import('../lib/answers').Histogram} before
 * @param {import('../lib/answers').Histogram} after
 */
function longestTurn(before, { bounds, counts }) {
  const longest = counts.findLastIndex((count, index) => count > before.counts[index]);

  return [bounds[longest - 1] ?? 0, bounds[longest] ?? Infinity].map((seconds) => seconds * 1_000);
}

/** @type {Record<Case['kind'], (scene: Scene, options: Case & { seconds: number }) => Promise<any>>} */
const measures = {
  async spin(scene, { consumers: threads, seconds }) {
    const others = Array.from(
      { length: threads - 1 },
      () => new Thread('for (;;);', { eval: true }),
    );
    const { turns } = await scene.metrics();
    let stopped = false;
    const probing = scene.prober.probe(scene.probed, { seconds }).finally(() => (stopped = true));

    while (!stopped) {
      for (const end = performance.now() + SPIN_MS; performance.now() < end;);
      await macrotask();
    }
    await Promise.all(others.map((thread) => thread.terminate()));
    return { trips: await probing, turnMs: longestTurn(turns, (await scene.metrics()).turns) };
  },

  async direct(scene, { consumers, seconds }) {
    const { producer } = await scene.produce(consumers, { maxBufferedAmount: 4 * 1024 * 1024 });
    let stopped = false;
    const flooding = flood(producer, () => stopped);
    const result = await probe(scene, producer, consumers, seconds);

    stopped = true;
    await flooding;
    return result;
  },

  async client(scene, { consumers, seconds }) {
    const { router } = scene;
    const transport = await router.createWebRtcTransport({
      listenInfos: [LISTEN_INFO],
      enableSctp: true,
    });
    const producer = await transport.produceData({ sctpStreamParameters: { streamId: 0 } });
    // The peer of this one never comes, so the queues of its DataConsumers are full soon.
    const full = await router.createPlainTransport({ listenInfo: LISTEN_INFO, enableSctp: true });
    const clients = new DatachannelClients({ count: 1 });
    const [offer] = await clients.offer([0]);

    await scene.consume(full, producer, consumers);
    await transport.connect({ dtlsParameters: dtlsParametersOf(offer) });
    await clients.connect([answerOf(transport)]);
    clients.send({ count: 1e9, size: 16 }).catch(() => {});
    await sleep(1_000);

    const result = await probe(scene, producer, consumers, seconds);
    const [{ sctpPacketsOverload }] = await transport.getStats();

    await clients.kill();
    return { ...result, sctpPacketsOverload };
  },

  async close(scene, { consumers }) {
    const { prober, probed, router, other, worker } = scene;
    const { producer } = await scene.produce(consumers, MILLION);
    const transport = await router.createPlainTransport({ listenInfo: LISTEN_INFO });
    const ports = [probed.iceCandidates[0].port, transport.tuple.localPort];
    const portMs = [];

    for (const [index, each] of [other, router].entries()) {
      fill(producer);

      const freed = prober.free(ports[index]);

      await sleep(20);

      const begin = Date.now();

      each.close();
      portMs.push((await freed) - begin);
    }

    const { messagesDroppedAtClose } = await worker.dump();

    return { portMs, messagesDroppedAtClose };
  },

  // The worker is one of another process, which it may take with it.
  async end({ prober }, { consumers, by }) {
    const host = Host.ofNode(FULL);
    const { port, queued } = await host.call('fill', { consumers, by });
    const freed = prober.free(port);

    await sleep(20);

    const begin = Date.now();
    const ended = host.call('end');

    await (by === 'process' ? ended.catch(() => {}) : ended);

    const endMs = Date.now() - begin;
    const portMs = [(await freed) - begin];

    await host.kill();
    return { portMs, endMs, queued };
  },

  async consumers(scene, { consumers, seconds, by }) {
    const { prober, probed, router } = scene;
    const { transport, producer, dataConsumers } = await scene.produce(consumers);
    const closing = { producer: [producer], transport: [transport], router: [router] };
    const closed = closing[/** @type {keyof typeof closing} */ (by)] ?? dataConsumers;
    const { turns } = await scene.metrics();
    const probing = prober.probe(probed, { seconds, everyMs: 1 });

    await sleep(seconds * 200);
    closed.forEach((each) => each.close());

    const trips = await probing;
    await until(async () => (await scene.metrics()).dataConsumers === 0, { every: 10 });
    return {
      trips,
      turnMs: longestTurn(turns, (await scene.metrics()).turns),
      maxTurnMs: MAX_TURN_MS,
    };
  },
};

/**
 * @param {Case & { api: any, seconds: number, rounds: number }} options
 */
async function measureCase({ api, rounds, ...options }) {
  const results = [];

  for (let round = 0; round < rounds; round++) {
    const prober = new Prober();
    const scene = await Scene.create(api, prober);

    const { trips = [0], ...rest } = await measures[options.kind](scene, options);

    results.push({
      ...rest,
      maxP99: options.maxP99 ?? MAX_P99_MICROS,
      p50: quantile(trips, 0.5),
      p99: quantile(trips, 0.99),
      max: Math.max(...trips),
    });
    scene.worker.close();
    await prober.close();
  }

  results.sort((one, other) => strain(one) - strain(other));

  return results[Math.floor(results.length / 2)];
}

/**
 * How close a round came to a limit; 1 is at the limit.
 *
 * @param {any} result
 */
function strain({
  p99,
  maxP99,
  portMs = [0],
  endMs = 0,
  turnMs: [turnMs] = [0],
  maxTurnMs = Infinity,
}) {
  return Math.max(
    p99 / maxP99,
    Math.max(...portMs) / MAX_PORT_MS,
    endMs / MAX_END_MS,
    turnMs / maxTurnMs,
  );
}

/** @param {any[]} results */
function table(results) {
  const ms = (/** @type {number} */ micros) => (micros / 1_000).toFixed(2);
  const count = (/** @type {number} */ number) => Math.round(number).toLocaleString('en');

  return [
    [
      'case',
      'STUN p50 / p99 / max ms',
      'copies routed / delivered per second',
      'ports free after',
      'ended after',
      'longest turn',
      'counted',
    ],
    ...results.map(({ title, error, p50, p99, max, ...rest }) =>
      error
        ? [title, 'failed', '', '', '', '', '']
        : [
            title,
            max === 0 ? '' : `${ms(p50)} / ${ms(p99)} / ${ms(max)}`,
            rest.deliveredPerSecond
              ? `${count(rest.routedPerSecond)} / ${count(rest.deliveredPerSecond)}`
              : '',
            rest.portMs ? `${rest.portMs.join(', ')} ms` : '',
            rest.endMs === undefined ? '' : `${rest.endMs} ms`,
            rest.turnMs ? `${rest.turnMs.join(' to ')} ms` : '',
            ['sctpPacketsOverload', 'messagesDroppedAtClose', 'queued']
              .filter((name) => rest[name])
              .map((name) => `${name} ${count(rest[name])}`)
              .join(', '),
          ],
    ),
  ];
}

/**
 * The limits that were exceeded.
 *
 * @param {any} result
 * @param {number} slack
 */
function broken(
  {
    p99,
    maxP99,
    portMs = [0],
    endMs = 0,
    queued = MIN_QUEUED,
    turnMs: [turnMs] = [0],
    maxTurnMs = Infinity,
  },
  slack,
) {
  return [
    ...(p99 <= slack * maxP99 ? [] : [`the p99 of the round trip is ${Math.round(p99)} µs`]),
    ...(Math.max(...portMs) <= slack * MAX_PORT_MS
      ? []
      : [`ports are free after ${portMs.join(', ')} ms`]),
    ...(endMs <= slack * MAX_END_MS ? [] : [`ended after ${endMs} ms`]),
    ...(queued >= MIN_QUEUED ? [] : [`only ${queued} messages waited`]),
    // The lower bound of its bucket: a turn of that length is in the bucket below.
    ...(turnMs < slack * maxTurnMs ? [] : [`a turn took over ${turnMs} ms`]),
  ];
}

const suite = {
  broken,
  cases,
  defaults: { seconds: 5, rounds: 3 },
  measureCase,
  slack: true,
  table,
};

module.exports = { ...suite, MILLION, Scene, fill, main: () => runSuite(__filename, suite) };
