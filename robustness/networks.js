'use strict';

// npm run robustness -- networks [--only=REGEX] [--seconds=N] [--rounds=N] [--json] [--list]
//
// Goodput, latency, bursts and first messages behind a UDP proxy that delays, loses and reorders datagrams and has a
// drop-tail queue, with real clients: libdatachannel and Chromium. N seconds of bulk, ten times as long for paced
// messages; each round has a seed of its own. Fails if a row misses its mark. Needs an idle machine and Chromium.

const { once } = require('node:events');
const { setTimeout: sleep } = require('node:timers/promises');

const { DatachannelClients } = require('../bench/clients/datachannel');
const { burst, paced, stamp } = require('../bench/messages');
const { median, quantile, sum } = require('../bench/statistics');
const { ChromiumClients } = require('./load/chromium');
const { Network } = require('./load/network');
const { runSuite } = require('./load/suite');

/** The size of bulk messages, in bytes. */
const BULK = 16 * 1024;
/** Bulk keeps the send queue between these sizes, in bytes. */
const HIGH_WATER = 256 * 1024;
const LOW_WATER = 128 * 1024;
/** The size of paced messages, in bytes. */
const SMALL = 100;
/** The size of the message that is a burst, in bytes. */
const LARGE = 256 * 1024;
const BURSTS = 100;
/** How much the timers of the proxy and of the client may add to a message's way, in milliseconds. */
const TIMERS = 10;

/** @typedef {import('./load/network').Conditions} Conditions */

/**
 * A path of 5 MB/s with a queue of 256 KiB. A late datagram takes up to a quarter of the round trip and 3 ms more.
 *
 * @param {number} rtt - in milliseconds.
 * @param {{ loss?: number, late?: number }} [faults]
 * @returns {Conditions}
 */
function path(rtt, { loss, late } = {}) {
  const jitter = rtt / 4 + 3;

  return { delay: rtt / 2, rate: 5e6, queue: 256 * 1024, loss, reordering: late, jitter };
}

/** A path of 10 Mbit/s whose queue holds 40 ms of it. */
const NARROW = { delay: 20, rate: 1.25e6, queue: 50_000 };

/**
 * @typedef {object} Row
 * @property {string} name
 * @property {string} title
 * @property {'bulk' | 'bulk up' | 'paced' | 'bursts' | 'first'} kind
 * @property {Conditions} [conditions] - without, the clients reach the server directly.
 * @property {object[]} [transports] - options of createWebRtcTransport(), of which the clients take turns.
 * @property {object} [consumer] - options of consumeData().
 * @property {number} [clients] - that share the path.
 * @property {number} [times] - how much longer than `--seconds` it runs.
 * @property {number} [perSecond] - paced messages.
 * @property {number} [pause] - after each burst, in milliseconds.
 * @property {Mark} [mark]
 *
 * @typedef {object} Mark - what the row should reach: a minimum of goodput and fairness, a maximum of the others.
 * @property {number} [goodput] - in kB/s.
 * @property {number} [fairness] - Jain's index.
 * @property {number} [ratio] - of the first client's goodput to the second's.
 * @property {number} [dropped] - by the queue, in percent.
 * @property {number} [late] - messages that arrived after their lifetime.
 * @property {number} [p50] - in milliseconds, as all below.
 * @property {number} [p95]
 * @property {number} [p99]
 * @property {number} [p999]
 * @property {number} [most]
 */

const bbr = { sctpCongestionControl: 'bbr' };
const newReno = { sctpCongestionControl: 'newreno' };
const LIFETIME = 100;

/** @type {Row[]} */
const rows = [
  {
    name: 'clean-50',
    title: '50 ms',
    kind: 'bulk',
    conditions: path(50),
    mark: { goodput: 3_100 },
  },
  {
    name: 'clean-50-up',
    title: '50 ms, up',
    kind: 'bulk up',
    conditions: path(50),
    mark: { goodput: 1_290 },
  },
  // What the senders of the clients reach where nothing is late.
  ...[20, 100].flatMap((rtt) =>
    /** @type {const} */ (['bulk', 'bulk up']).map((kind) => ({
      name: `clean-${rtt}${kind === 'bulk' ? '' : '-up'}`,
      title: `${rtt} ms${kind === 'bulk' ? '' : ', up'}`,
      kind,
      conditions: path(rtt),
    })),
  ),
  {
    name: 'clean-200',
    title: '200 ms',
    kind: 'bulk',
    conditions: path(200),
    times: 2,
    mark: { goodput: 1_400 },
  },
  {
    name: 'loss-50',
    title: '50 ms, 1 % lost',
    kind: 'bulk',
    conditions: path(50, { loss: 0.01 }),
    mark: { goodput: 280 },
  },
  {
    name: 'loss-50-bbr',
    title: '50 ms, 1 % lost, BBR',
    kind: 'bulk',
    conditions: path(50, { loss: 0.01 }),
    transports: [bbr],
    mark: { goodput: 2_450 },
  },
  {
    name: 'loss-100',
    title: '100 ms, 1 % lost',
    kind: 'bulk',
    conditions: path(100, { loss: 0.01 }),
  },
  ...[
    { rtt: 20, goodput: 2_100 },
    { rtt: 50, goodput: 1_750 },
    { rtt: 100, goodput: 1_050 },
  ].flatMap(({ rtt, goodput }) =>
    /** @type {const} */ (['bulk', 'bulk up']).map((kind) => ({
      name: `late-${rtt}${kind === 'bulk' ? '' : '-up'}`,
      title: `${rtt} ms, 10 % late${kind === 'bulk' ? '' : ', up'}`,
      kind,
      conditions: path(rtt, { late: 0.1 }),
      mark: { goodput },
    })),
  ),
  ...[
    { rtt: 20, goodput: 3_100 },
    { rtt: 50, goodput: 3_100 },
    { rtt: 100, goodput: 2_000 },
    { rtt: 200, goodput: 1_400 },
  ].map(({ rtt, goodput }) => ({
    name: `lifetime-${rtt}`,
    title: `${rtt} ms, maxPacketLifeTime 100`,
    kind: /** @type {const} */ ('bulk'),
    conditions: path(rtt),
    consumer: { maxPacketLifeTime: LIFETIME },
    mark: { goodput, late: 0 },
  })),
  {
    name: 'fairness',
    title: '50 ms, two clients',
    kind: 'bulk',
    conditions: path(50),
    clients: 2,
    times: 2,
    mark: { goodput: 3_100, fairness: 0.9 },
  },
  {
    name: 'newreno',
    title: '50 ms, a client with CUBIC beside one with NewReno',
    kind: 'bulk',
    conditions: path(50),
    transports: [{}, newReno],
    clients: 2,
    times: 2,
    mark: { goodput: 3_100, fairness: 0.9, ratio: 2.6 },
  },
  {
    name: 'crowd-bbr',
    title: '50 ms, 8 clients, BBR',
    kind: 'bulk',
    conditions: path(50),
    transports: [bbr],
    clients: 8,
    mark: { goodput: 2_800, dropped: 2.6 },
  },
  {
    name: 'paced-50',
    title: '50 ms, 5 % lost, 100 B every 20 ms',
    kind: 'paced',
    conditions: path(50, { loss: 0.05 }),
    perSecond: 50,
    mark: { p99: 117, p999: 195 },
  },
  {
    name: 'paced-100',
    title: '100 ms, 5 % lost, 100 B every 20 ms',
    kind: 'paced',
    conditions: path(100, { loss: 0.05 }),
    perSecond: 50,
    mark: { p99: 234, p999: 390 },
  },
  {
    name: 'sparse-50',
    title: '50 ms, 5 % lost, 100 B every 400 ms',
    kind: 'paced',
    conditions: path(50, { loss: 0.05 }),
    times: 2,
    perSecond: 2.5,
    mark: { p99: 195 },
  },
  // From the client's DTLS on. In the clean case that takes two round trips. Where datagrams are lost, it includes the
  // time until the client's DTLS has our last flight, which its retransmissions decide, so there is no mark.
  {
    name: 'first',
    title: '50 ms, first message',
    kind: 'first',
    conditions: { delay: 25 },
    clients: 10,
    mark: { p50: 130 },
  },
  {
    name: 'first-loss',
    title: '50 ms, 10 % lost, first message',
    kind: 'first',
    conditions: { delay: 25, loss: 0.1 },
    clients: 100,
  },
  { name: 'bursts', title: '256 KiB at once', kind: 'bursts', pause: 50, mark: { most: 1_000 } },
  {
    name: 'bursts-narrow',
    title: '256 KiB at once, 40 ms, 10 Mbit/s, queue of 40 ms',
    kind: 'bursts',
    conditions: NARROW,
    pause: 1_000,
    // 1.3 × (size / rate + RTT)
    mark: { p50: 325, most: 1_000 },
  },
];

const PEERS = /** @type {const} */ ([
  { name: 'libdatachannel', Clients: DatachannelClients },
  { name: 'chromium', Clients: ChromiumClients },
]);

const cases = rows.flatMap((row) =>
  PEERS.map((peer) => ({
    ...row,
    name: `${row.name}-${peer.name}`,
    title: `${row.title}, ${peer.name}`,
    row: row.title,
    peer: peer.name,
  })),
);

/** A worker and clients of one kind, with a network between them. */
class Scene {
  /** @type {any} */
  worker;
  /** @type {any} */
  producer;
  /** @type {any} */
  clients;
  /** @type {Network | undefined} */
  network;
  /** @type {any[]} */
  consumers = [];
  /** The bytes of each client that have arrived. */
  received = [0];
  /** @type {any[]} */
  transports = [];

  /**
   * @param {any} api
   * @param {Row & { peer: string }} row
   * @param {number} seed
   */
  static async create(api, row, seed) {
    const { peer, kind, conditions, transports = [{}], consumer, clients: count = 1 } = row;
    const scene = new Scene();
    const { Clients } = PEERS.find(({ name }) => name === peer) ?? PEERS[0];

    scene.worker = await api.createWorker();
    scene.clients = new Clients({ count });

    const router = await scene.worker.createRouter();
    const direct = await router.createDirectTransport();
    const webRtcServer = await scene.worker.createWebRtcServer({
      listenInfos: [{ protocol: 'udp', ip: '127.0.0.1' }],
    });
    const streamIds = [];

    scene.producer = await direct.produceData();
    scene.received = Array(count).fill(0);
    for (let index = 0; index < count; index++) {
      const made = await router.createWebRtcTransport({
        webRtcServer,
        enableSctp: true,
        ...transports[index % transports.length],
      });
      const sent = await made.consumeData({ dataProducerId: scene.producer.id, ...consumer });
      const { streamId } = sent.sctpStreamParameters;
      const { id } = await made.produceData({ sctpStreamParameters: { streamId } });
      const arrived = await direct.consumeData({ dataProducerId: id });

      arrived.on(
        'message',
        (/** @type {Buffer} */ { length }) => (scene.received[index] += length),
      );
      if (kind === 'first') {
        made.on('dtlsstatechange', (/** @type {string} */ state) => {
          if (state === 'connected') {
            burst({ send: (message) => sent.send(message), from: 0, to: 1, size: SMALL });
          }
        });
      }
      scene.transports.push(made);
      scene.consumers.push(sent);
      streamIds.push(streamId);
    }

    const parameters = await scene.clients.dtlsParameters(streamIds);

    await scene.clients.ready({ latencies: true });
    await Promise.all(
      scene.transports.map((each, index) => each.connect({ dtlsParameters: parameters[index] })),
    );
    if (conditions) {
      scene.network = new Network();
      await scene.clients.connectTo(await scene.network.hide(scene.transports, conditions, seed));
    } else {
      await scene.clients.connectTo(scene.transports);
    }
    return scene;
  }

  async close() {
    this.worker.close();
    await this.clients.close();
    await this.network?.close();
  }
}

/**
 * Sends bulk to each client for some seconds.
 *
 * @param {Scene} scene
 * @param {number} seconds
 * @returns {Promise<number[]>} how many bytes each has received.
 */
async function bulk({ clients, consumers }, seconds) {
  const message = Buffer.alloc(BULK, 'x');
  let ended = false;

  consumers.forEach(async (consumer) => {
    await consumer.setBufferedAmountLowThreshold(LOW_WATER);
    while (!ended) {
      stamp(message);
      if ((await consumer.send(message)) > HIGH_WATER) {
        await once(consumer, 'bufferedamountlow');
      }
    }
  });
  await sleep(seconds * 1_000);
  ended = true;
  return (await clients.counts()).map((/** @type {number} */ count) => count * BULK);
}

/**
 * Makes the clients send bulk for some seconds.
 *
 * @param {Scene} scene
 * @param {number} seconds
 * @returns {Promise<number[]>} how many bytes of each have arrived.
 */
async function bulkUp({ clients, received }, seconds) {
  // Rejects when the clients close before they have sent everything.
  clients.send({ count: Infinity, size: BULK }).catch(() => {});
  await sleep(seconds * 1_000);
  return [...received];
}

/**
 * Sends messages at an even pace for some seconds.
 *
 * @param {Scene} scene
 * @param {Row} row
 * @param {number} seconds
 * @returns {Promise<number[]>} the milliseconds that each took.
 */
async function pace({ clients, producer }, { perSecond = 1 }, seconds) {
  const count = Math.ceil(seconds * perSecond);

  await paced({ send: (message) => producer.send(message), count, size: SMALL, perSecond });
  return millisOf(await clients.received(count));
}

/**
 * Sends large messages, each a pause after the previous one has arrived.
 *
 * @param {Scene} scene
 * @param {Row} row
 * @returns {Promise<number[]>} the milliseconds that each took.
 */
async function bursts({ clients, producer }, { pause }) {
  for (let number = 0; number < BURSTS; number++) {
    burst({
      send: (message) => producer.send(message),
      from: number,
      to: number + 1,
      size: LARGE,
    });
    await clients.received(number + 1);
    await sleep(pause);
  }
  return millisOf(await clients.received(BURSTS));
}

/**
 * How long after the client's DTLS the first message of each arrived. The messages were sent when our DTLS was
 * connected; unless its last flight is lost, that is half a round trip before the client's.
 *
 * @param {Scene} scene
 * @param {Row} row
 * @returns {Promise<number[]>} in milliseconds.
 */
async function first({ clients }, { conditions }) {
  const millis = await millisOf(await clients.received(1));

  return millis.map((each) => each - (conditions?.delay ?? 0));
}

/**
 * How many messages arrived later than their lifetime, and the longest way through the network, explain.
 *
 * @param {Scene} scene
 * @param {Conditions} conditions
 */
async function lateOnes({ clients }, { delay, rate = Infinity, queue = 0 }) {
  const longest = LIFETIME + delay + (queue / rate) * 1_000 + TIMERS;
  const micros = await (await clients.received(0)).latencies();

  return micros.filter((/** @type {number} */ each) => each / 1_000 > longest).length;
}

/** @param {import('../bench/types').Outcome} outcome */
async function millisOf({ lost, disordered, latencies }) {
  if (lost || disordered) {
    throw new Error(`${lost} messages lost, ${disordered} out of order`);
  }
  const micros = typeof latencies === 'function' ? await latencies() : (latencies ?? []);

  return Array.from(micros, (each) => each / 1_000);
}

/** @param {any} order - a case, and the options. */
async function measureCase({ api, seconds, rounds, ...row }) {
  const length = seconds * (row.times ?? 1);
  const goodputs = [];
  const fairness = [];
  const ratios = [];
  const dropped = [];
  const late = [];
  const millis = [];

  for (let seed = 1; seed <= rounds; seed++) {
    const scene = await Scene.create(api, row, seed);

    if (row.kind === 'paced') {
      millis.push(...(await pace(scene, row, 10 * length)));
    } else if (row.kind === 'bursts') {
      millis.push(...(await bursts(scene, row)));
    } else if (row.kind === 'first') {
      millis.push(...(await first(scene, row)));
    } else {
      const bytes = await (row.kind === 'bulk' ? bulk : bulkUp)(scene, length);
      const { carried = 0, lost = 0 } = (await scene.network?.counts())?.down ?? {};

      goodputs.push(sum(bytes) / length / 1_000);
      fairness.push(jain(bytes));
      ratios.push(bytes[0] / bytes[1]);
      dropped.push((100 * lost) / (carried + lost));
      if (row.consumer) {
        late.push(await lateOnes(scene, row.conditions));
      }
    }
    await scene.close();
  }

  const { row: title, peer, mark = {} } = row;
  const times = millis.length > 0 && {
    p50: quantile(millis, 0.5),
    p95: quantile(millis, 0.95),
    p99: quantile(millis, 0.99),
    p999: quantile(millis, 0.999),
    most: quantile(millis, 1),
  };
  const rates = goodputs.length > 0 && {
    goodput: median(goodputs),
    ...(row.clients && { fairness: median(fairness), dropped: median(dropped) }),
    ...(row.clients === 2 && { ratio: median(ratios) }),
    ...(row.consumer && { late: median(late) }),
  };

  return { row: title, peer, mark, ...rates, ...times };
}

/** Jain's index of fairness: 1 if all have the same, 1 / n if one has everything. */
function jain(/** @type {number[]} */ shares) {
  return sum(shares) ** 2 / (shares.length * sum(shares.map((share) => share ** 2)));
}

const FIGURES = /** @type {const} */ ([
  { name: 'goodput', title: 'kB/s', digits: 0, least: true },
  { name: 'fairness', title: 'fairness', digits: 2, least: true },
  { name: 'ratio', title: 'first / second', digits: 2, least: false },
  { name: 'dropped', title: 'dropped %', digits: 2, least: false },
  { name: 'late', title: 'late', digits: 0, least: false },
  { name: 'p50', title: 'p50 ms', digits: 0, least: false },
  { name: 'p95', title: 'p95 ms', digits: 0, least: false },
  { name: 'p99', title: 'p99 ms', digits: 0, least: false },
  { name: 'p999', title: 'p99.9 ms', digits: 0, least: false },
  { name: 'most', title: 'most ms', digits: 0, least: false },
]);

/** @param {any[]} results */
function table(results) {
  return [
    ['round trip, faults', 'client', ...FIGURES.map(({ title }) => title)],
    ...results.map(({ error, title, row, peer, ...figures }) =>
      error
        ? [title, 'failed', ...FIGURES.map(() => '')]
        : [row, peer, ...FIGURES.map(({ name, digits }) => figures[name]?.toFixed(digits) ?? '')],
    ),
  ];
}

/** The marks that were missed. */
function broken(/** @type {any} */ result) {
  return FIGURES.flatMap(({ name, title, digits, least }) => {
    const [figure, mark] = [result[name], result.mark[name]];
    const missed = mark !== undefined && (least ? figure < mark : figure > mark);

    return missed ? [`${title} ${figure.toFixed(digits)}, the mark is ${mark}`] : [];
  });
}

const suite = { broken, cases, defaults: { seconds: 10, rounds: 1 }, measureCase, table };

module.exports = { ...suite, main: () => runSuite(__filename, suite) };
