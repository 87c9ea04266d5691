'use strict';

// npm run robustness -- busy [--only=REGEX] [--seconds=N] [--rounds=N] [--slack=1] [--json] [--list]
//
// How soon a worker with as much work as possible answers a peer of another router: STUN round trips, measured from
// another process and, in turns with them, those of an idle Worker of a third one: what the machine adds. Two rows have
// no messages: while JavaScript spins, an idle worker answers, and a thread that spins too. How soon a Router, a Worker,
// a process and a thread end while 1.1 million messages wait. How long the turns are in which 50,000 DataConsumers
// close. Fails if, in the median round, the p99 of the round trip is over 5 ms (20 ms with 10,000 DataConsumers), a port
// is not free within 50 ms, an end takes 500 ms, fewer than 1.1 million messages waited for it, or a turn of the closing
// takes over 10 ms. Needs an idle machine with more than one core; on others, --slack=20 multiplies the limits.

const { once } = require('node:events');
const path = require('node:path');
const { performance } = require('node:perf_hooks');
const { setImmediate: macrotask, setTimeout: sleep } = require('node:timers/promises');
const { Worker: Thread } = require('node:worker_threads');

const { answerOf, dtlsParametersOf } = require('../examples/sdp');
const { DatachannelClients } = require('../bench/clients/datachannel');
const { IMPL } = require('../bench/implementation');
const { Host } = require('../bench/processes/host');
const { quantile, sum } = require('../bench/statistics');
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

const ANSWERING = require.resolve('./load/answeringThread');
const FULL = require.resolve('./load/fullProcess');
const IDLE = require.resolve('./load/idleProcess');
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
 * while JavaScript spins; a direct DataProducer, a WebRTC client, messages that wait while Routers close or while it
 * ends itself, DataConsumers that close.
 * @property {number} consumers
 * @property {boolean} [answering] - a thread that spins answers instead of the worker.
 * @property {'worker' | 'process' | 'thread' | 'producer' | 'transport' | 'router' | 'each'} [by] - what ends, or what
 * closes the DataConsumers.
 * @property {number} [maxP99] - in µs, instead of 5 ms.
 */

/** @type {Case[]} */
const cases = [
  { name: 'spin', title: 'no messages, JavaScript spins', kind: 'spin', consumers: 0 },
  {
    name: 'spin-answering',
    title: 'the same, and a thread that answers',
    kind: 'spin',
    consumers: 0,
    answering: true,
  },
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
   * @param {{ prober: Prober, idle: any }} [outside] - other processes: one that probes, and what it probes of an idle
   * one.
   */
  static async create(api, outside) {
    const worker = await api.createWorker();
    const router = await worker.createRouter();
    const other = await worker.createRouter();
    const probed = await other.createWebRtcTransport({ listenInfos: [LISTEN_INFO] });

    return new Scene({ worker, router, other, probed, ...outside });
  }

  /** @param {any} parts */
  constructor({ worker, router, other, probed, prober, idle }) {
    this.worker = worker;
    this.router = router;
    this.other = other;
    this.probed = probed;
    this.prober = prober;
    this.idle = idle;
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
   * The round trips to the worker, or to another `target`, and those to the idle one.
   *
   * @param {{ seconds: number, everyMs?: number, target?: any }} options
   * @returns {Promise<number[][]>}
   */
  probe({ target = this.probed, ...options }) {
    return this.prober.probe([target, this.idle], options);
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
  const { turns } = await scene.metrics();
  const [before] = await producer.getStats();
  const deliveredBefore = scene.delivered;
  const begin = performance.now();
  const trips = await scene.probe({ seconds });
  const [after] = await producer.getStats();
  const elapsed = (performance.now() - begin) / 1_000;
  const routed = (after.messagesReceived - before.messagesReceived) * consumers;

  return {
    trips,
    routedPerSecond: routed / elapsed,
    deliveredPerSecond: (scene.delivered - deliveredBefore) / elapsed,
    ...turnsBetween(turns, (await scene.metrics()).turns),
  };
}

/**
 * The turns that were counted between two answers of `metrics()`: of the longest one, and of that which 99 % do not
 * exceed, the bounds of the bucket in ms.
 *
 * @param {import('../lib/answers').Histogram} before
 * @param {import('../lib/answers').Histogram} after
 */
function turnsBetween(before, { bounds, counts }) {
  const between = counts.map((count, index) => count - before.counts[index]);
  const bucket = (/** @type {number} */ index) =>
    [bounds[index - 1] ?? 0, bounds[index] ?? Infinity].map((seconds) => seconds * 1_000);
  let left = sum(between) * 0.99;

  return {
    turnMs: bucket(between.findLastIndex((count) => count > 0)),
    turnP99Ms: bucket(between.findIndex((count) => (left -= count) <= 0)),
  };
}

/** @type {Record<Case['kind'], (scene: Scene, options: Case & { seconds: number }) => Promise<any>>} */
const measures = {
  async spin(scene, { answering, seconds }) {
    const thread = answering ? new Thread(ANSWERING) : undefined;
    const target = thread && targetAt((await once(thread, 'message'))[0]);
    let stopped = false;
    const probing = scene.probe({ seconds, target }).finally(() => (stopped = true));

    while (!stopped) {
      for (const end = performance.now() + SPIN_MS; performance.now() < end;);
      await macrotask();
    }
    await thread?.terminate();
    return { trips: await probing };
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
    const { router } = scene;
    const { transport, producer, dataConsumers } = await scene.produce(consumers);
    const closing = { producer: [producer], transport: [transport], router: [router] };
    const closed = closing[/** @type {keyof typeof closing} */ (by)] ?? dataConsumers;
    const { turns } = await scene.metrics();
    const probing = scene.probe({ seconds, everyMs: 1 });

    await sleep(seconds * 200);
    closed.forEach((each) => each.close());

    const trips = await probing;
    await until(async () => (await scene.metrics()).dataConsumers === 0, { every: 10 });
    return {
      trips,
      ...turnsBetween(turns, (await scene.metrics()).turns),
      maxTurnMs: MAX_TURN_MS,
    };
  },
};

/**
 * What the Prober needs of a transport, for a socket that sends everything back.
 *
 * @param {import('node:net').AddressInfo} address
 */
function targetAt({ address, port }) {
  return {
    iceParameters: { usernameFragment: '', password: '' },
    iceCandidates: [{ protocol: 'udp', address, port }],
  };
}

/**
 * @param {Case & { api: any, seconds: number, rounds: number }} options
 */
async function measureCase({ api, rounds, ...options }) {
  const results = [];

  for (let round = 0; round < rounds; round++) {
    const prober = new Prober();
    const idle = Host.ofNode(IDLE);
    const scene = await Scene.create(api, { prober, idle: await idle.call('listen') });

    const { trips = [], ...rest } = await measures[options.kind](scene, options);
    const [ours, others] = trips.map((/** @type {number[]} */ each) => ({
      p50: quantile(each, 0.5),
      p99: quantile(each, 0.99),
      max: Math.max(...each),
    }));

    results.push({ ...rest, maxP99: options.maxP99 ?? MAX_P99_MICROS, ours, others });
    scene.worker.close();
    await Promise.all([prober.close(), idle.end()]);
  }

  results.sort((one, other) => strain(one) - strain(other));

  return results[Math.floor(results.length / 2)];
}

/**
 * How close a round came to each limit; 1 is at the limit.
 *
 * @param {any} result
 */
function strains({ ours, maxP99, portMs = [], endMs = 0, turnMs: [turnMs] = [0], maxTurnMs }) {
  return [
    {
      strain: ours ? ours.p99 / maxP99 : 0,
      what: `the p99 of the round trip is ${Math.round(ours?.p99)} µs`,
    },
    {
      strain: Math.max(0, ...portMs) / MAX_PORT_MS,
      what: `ports are free after ${portMs.join(', ')} ms`,
    },
    { strain: endMs / MAX_END_MS, what: `ended after ${endMs} ms` },
    // The lower bound of its bucket: a turn of that length is in the bucket below.
    { strain: maxTurnMs ? turnMs / maxTurnMs : 0, what: `a turn took over ${turnMs} ms` },
  ];
}

/** @param {any} result */
function strain(result) {
  return Math.max(...strains(result).map((each) => each.strain));
}

/** @param {any[]} results */
function table(results) {
  const ms = (/** @type {number} */ micros) => (micros / 1_000).toFixed(2);
  const count = (/** @type {number} */ number) => Math.round(number).toLocaleString('en');
  const trip = (/** @type {any} */ it) => (it ? [it.p50, it.p99, it.max].map(ms).join(' / ') : '');

  return [
    [
      'case',
      'STUN p50 / p99 / max ms',
      'of an idle Worker',
      'copies routed / delivered per second',
      'ports free after',
      'ended after',
      'turns: 99 %, longest',
      'counted',
    ],
    ...results.map(({ title, error, ours, others, ...rest }) =>
      error
        ? [title, 'failed', '', '', '', '', '', '']
        : [
            title,
            trip(ours),
            trip(others),
            rest.deliveredPerSecond
              ? `${count(rest.routedPerSecond)} / ${count(rest.deliveredPerSecond)}`
              : '',
            rest.portMs ? `${rest.portMs.join(', ')} ms` : '',
            rest.endMs === undefined ? '' : `${rest.endMs} ms`,
            rest.turnMs ? `≤ ${rest.turnP99Ms[1]}, ${rest.turnMs.join(' to ')} ms` : '',
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
function broken({ queued = MIN_QUEUED, ...result }, slack) {
  return [
    ...strains(result)
      .filter((each) => each.strain >= slack)
      .map(({ what }) => what),
    ...(queued >= MIN_QUEUED ? [] : [`only ${queued} messages waited`]),
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
