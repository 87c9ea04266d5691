'use strict';

// npm run robustness -- busy [--only=REGEX] [--seconds=N] [--rounds=N] [--slack=1] [--json] [--list]
//
// How soon a worker with as much work as possible answers a peer of another router: STUN round trips, measured from
// another process. Also how soon it closes while a million messages wait. Fails if, in the median round, the p99 of the
// round trip is over 5 ms, a port is not free after 50 ms, or 'subprocessclose' takes over 500 ms. Needs an idle
// machine with more than one core; on others, --slack=20 multiplies the limits.

const { once } = require('node:events');
const { performance } = require('node:perf_hooks');
const { setImmediate: macrotask, setTimeout: sleep } = require('node:timers/promises');

const { answerOf, dtlsParametersOf } = require('../examples/sdp');
const { DatachannelClients } = require('../bench/clients/datachannel');
const { quantile } = require('../bench/statistics');
const { Prober } = require('./load/prober');
const { runSuite } = require('./load/suite');

const MAX_P99_MICROS = 5_000;
const MAX_PORT_MS = 50;
const MAX_CLOSE_MS = 500;

const LISTEN_INFO = { protocol: 'udp', ip: '127.0.0.1' };
/**
 * What waits for JavaScript is bounded to this for each DataConsumer, so that a thousand of them take little memory.
 */
const MAX_BUFFERED_AMOUNT = 16 * 1024;

/**
 * @typedef {object} Case
 * @property {string} name
 * @property {string} title
 * @property {'direct' | 'client' | 'close' | 'consumers'} kind - what makes the worker busy: a direct DataProducer, a
 * WebRTC client, messages that wait for it to close, DataConsumers that close.
 * @property {number} consumers
 */

/** @type {Case[]} */
const cases = [
  { name: 'direct-1', title: 'a direct producer, 1 consumer', kind: 'direct', consumers: 1 },
  { name: 'direct-100', title: 'a direct producer, 100 consumers', kind: 'direct', consumers: 100 },
  { name: 'direct-1000', title: 'a direct producer, 1,000', kind: 'direct', consumers: 1_000 },
  { name: 'direct-10000', title: 'a direct producer, 10,000', kind: 'direct', consumers: 10_000 },
  {
    name: 'client-1000',
    title: 'a client, 1,000 full consumers',
    kind: 'client',
    consumers: 1_000,
  },
  { name: 'close', title: 'close with a million messages', kind: 'close', consumers: 1_000 },
  { name: 'consumers', title: 'close 50,000 consumers', kind: 'consumers', consumers: 50_000 },
];

/** A worker, a router that is busy, and a transport of another router, which is probed. */
class Scene {
  /** @param {any} api */
  static async create(api) {
    const worker = await api.createWorker();
    const router = await worker.createRouter();
    const other = await worker.createRouter();
    const probed = await other.createWebRtcTransport({ listenInfos: [LISTEN_INFO] });

    return new Scene({ worker, router, other, probed });
  }

  /** @param {any} parts */
  constructor({ worker, router, other, probed }) {
    this.worker = worker;
    this.router = router;
    this.other = other;
    this.probed = probed;
    this.prober = new Prober();
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
    const direct = await this.router.createDirectTransport();
    const producer = await direct.produceData(options);

    for (const consumer of await this.consume(direct, producer, consumers)) {
      consumer.on('message', () => this.delivered++);
    }
    return producer;
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

  async close() {
    this.worker.close();
    await this.prober.close();
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
  };
}

/** @type {Record<Case['kind'], (scene: Scene, options: { consumers: number, seconds: number }) => Promise<any>>} */
const measures = {
  async direct(scene, { consumers, seconds }) {
    const producer = await scene.produce(consumers, { maxBufferedAmount: 4 * 1024 * 1024 });
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
    const producer = await scene.produce(consumers);
    const transport = await router.createPlainTransport({ listenInfo: LISTEN_INFO });
    const ports = [probed.iceCandidates[0].port, transport.tuple.localPort];
    const times = [];

    for (const [index, each] of [other, router].entries()) {
      fill(producer);

      const freed = prober.free(ports[index]);

      await sleep(20);

      const begin = Date.now();

      each.close();
      times.push((await freed) - begin);
    }

    const { messagesDroppedAtClose } = await worker.dump();
    const begin = Date.now();

    worker.close();
    await once(worker, 'subprocessclose');
    return { trips: [0], portMs: times, closeMs: Date.now() - begin, messagesDroppedAtClose };
  },

  async consumers(scene, { consumers }) {
    const { prober, probed } = scene;
    const producer = await scene.produce(consumers);
    const probing = prober.probe(probed, { seconds: 3, everyMs: 1 });

    await sleep(1_000);
    producer.close();
    return { trips: await probing };
  },
};

/**
 * @param {Case & { api: any, seconds: number, rounds: number }} options
 */
async function measureCase({ api, seconds, rounds, kind, consumers }) {
  const results = [];

  for (let round = 0; round < rounds; round++) {
    const scene = await Scene.create(api);

    const { trips, ...rest } = await measures[kind](scene, { consumers, seconds });

    results.push({
      ...rest,
      kind,
      p50: quantile(trips, 0.5),
      p99: quantile(trips, 0.99),
      max: Math.max(...trips),
    });
    await scene.close();
  }

  results.sort((one, other) => strain(one) - strain(other));

  return results[Math.floor(results.length / 2)];
}

/**
 * How close a round came to a limit; 1 is at the limit.
 *
 * @param {any} result
 */
function strain({ p99, portMs = [0], closeMs = 0 }) {
  return Math.max(p99 / MAX_P99_MICROS, Math.max(...portMs) / MAX_PORT_MS, closeMs / MAX_CLOSE_MS);
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
      'counted',
    ],
    ...results.map(({ title, error, kind, p50, p99, max, ...rest }) =>
      error
        ? [title, 'failed', '', '', '', '']
        : [
            title,
            kind === 'close' ? '' : `${ms(p50)} / ${ms(p99)} / ${ms(max)}`,
            rest.deliveredPerSecond
              ? `${count(rest.routedPerSecond)} / ${count(rest.deliveredPerSecond)}`
              : '',
            rest.portMs ? `${rest.portMs.join(', ')} ms` : '',
            rest.closeMs === undefined ? '' : `${rest.closeMs} ms`,
            ['sctpPacketsOverload', 'messagesDroppedAtClose']
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
function broken({ p99, portMs = [0], closeMs = 0 }, slack) {
  return [
    ...(p99 <= slack * MAX_P99_MICROS
      ? []
      : [`the p99 of the round trip is ${Math.round(p99)} µs`]),
    ...(Math.max(...portMs) <= slack * MAX_PORT_MS
      ? []
      : [`ports are free after ${portMs.join(', ')} ms`]),
    ...(closeMs <= slack * MAX_CLOSE_MS ? [] : [`'subprocessclose' after ${closeMs} ms`]),
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

module.exports = { ...suite, main: () => runSuite(__filename, suite) };
