'use strict';

// npm run robustness -- limits [--only=REGEX] [--seconds=N] [--rounds=N] [--slack=N] [--json] [--list]
//
// A client (libdatachannel) that sends 50,000 messages a second to a WebRtcTransport with a limit of 100, and the round
// trips of a well-behaved client of the same worker; in turns with them, its round trips while the same goes to another
// Worker: what the machine adds. The server, all of its Workers, runs on one core; both clients share another, of which
// the sender gets what the other one leaves. Fails if a limit takes more of the worker than it promises, disturbs the
// other client more than messages to another Worker do, lets too much pass, or does not count every message. --slack
// multiplies the bounds on time, for busy machines.

const { DatachannelClients } = require('../bench/clients/datachannel');
const { measure } = require('../bench/measure');
const { quantile, sum } = require('../bench/statistics');
const { Scene } = require('./load/scene');
const { runSuite } = require('./load/suite');
const { pin, rss, stepBack, watchRss } = require('./load/system');
const { until } = require('./load/until');

const PER_SECOND = 50_000;
const LIMIT = 100;
const SIZE = 100;

/** The most that 'block' and 'close' may take of a core. */
const MAX_SHARE = 0.03;
/** 'drop' may take this much of the time that receiving takes without a limit. The rest is noise. */
const MAX_COST = 1.1;
/**
 * The p99 of the other client may be this many times that beside another Worker, or this much longer in µs, which is
 * noise.
 */
const MAX_RATIO = 1.5;
const NOISE = 500;
/** The tolerated growth of the memory of the process. */
const MAX_GROWTH_MIB = 16;

/** How long what was sent may take to arrive. */
const PATIENCE = { every: 20, patience: 60_000 };

const SERVED = -15;

/**
 * @typedef {object} Case
 * @property {string} name
 * @property {string} title
 * @property {import('..').LimitAction} [action] - without: nothing is limited, and no DataConsumer gets the messages.
 */

/** @type {Case[]} */
const cases = [
  { name: 'none', title: 'no limit, no DataConsumer' },
  { name: 'drop', title: "limit: 100/s, 'drop'", action: 'drop' },
  { name: 'block', title: "limit: 100/s, 'block'", action: 'block' },
  { name: 'close', title: "limit: 100/s, 'close'", action: 'close' },
];

/**
 * @typedef {object} Phase
 * @property {number[]} trips - round trips of the well-behaved client, in µs.
 * @property {number} workerMicros - CPU time of the worker.
 * @property {number} wallMicros
 */

/** The client that sends too much, and its transport. */
class Sender {
  delivered = 0;
  /** Messages over the limit, as 'limit' events report them. */
  reported = 0;

  /**
   * @param {{ router: any, webRtcServer: any, direct: any }} server
   * @param {Case['action']} action
   */
  static async create({ router, webRtcServer, direct }, action) {
    const transport = await router.createWebRtcTransport({
      webRtcServer,
      enableSctp: true,
      limit: action && { messagesPerSecond: LIMIT, action },
    });
    const dataProducer = await transport.produceData({ sctpStreamParameters: { streamId: 0 } });
    const clients = new DatachannelClients({ count: 1 });
    const sender = new Sender(transport, dataProducer, clients);

    transport.on('limit', (/** @type {{ messages: number }} */ { messages }) => {
      sender.reported += messages;
    });
    if (action) {
      const dataConsumer = await direct.consumeData({ dataProducerId: dataProducer.id });

      dataConsumer.on('message', () => sender.delivered++);
    }

    const [dtlsParameters] = await clients.dtlsParameters([0]);

    await transport.connect({ dtlsParameters });
    await clients.connectTo([transport]);
    for (const pid of clients.pids) {
      pin(pid, 1, 0);
      stepBack(pid);
    }
    return sender;
  }

  /**
   * @param {any} transport
   * @param {any} dataProducer
   * @param {DatachannelClients} clients
   */
  constructor(transport, dataProducer, clients) {
    this.transport = transport;
    this.dataProducer = dataProducer;
    this.clients = clients;
  }

  /** @param {number} seconds */
  async send(seconds) {
    const count = Math.round(seconds * PER_SECOND);
    const [sent] = await this.clients.pour({ count, size: SIZE, perSecond: PER_SECOND });

    return sent;
  }

  async limited() {
    const [{ messagesLimited }] = await this.transport.getStats();

    return messagesLimited;
  }

  /** What the DataProducer has received; undefined if the limit has closed it. */
  async received() {
    if (this.dataProducer.closed) {
      return undefined;
    }

    const [{ messagesReceived }] = await this.dataProducer.getStats();

    return messagesReceived;
  }

  async close() {
    this.transport.close();
    await this.clients.close();
  }
}

/**
 * Checks that every message was counted once.
 *
 * @param {Sender} sender
 * @param {Case['action']} action
 * @param {number} sent
 * @param {number} begun - when it began to send, in ms.
 * @returns {Promise<string[]>} what is wrong.
 */
async function count(sender, action, sent, begun) {
  /** @type {string[]} */
  const wrong = [];
  const expect = (
    /** @type {string} */ what,
    /** @type {number} */ got,
    /** @type {number} */ due,
  ) => got === due || wrong.push(`${what}: ${got}, not ${due}`);
  const arrived = () => until(async () => (await sender.received()) === sent, PATIENCE);

  if (action !== 'block' && action !== 'close') {
    await arrived();
  }

  const [delivered, limited, received] = [
    sender.delivered,
    await sender.limited(),
    await sender.received(),
  ];
  // The bucket is full at the beginning, and one message takes the last part of a token.
  const most = LIMIT * (1 + (performance.now() - begun) / 1_000) + 1;

  if (delivered > most) {
    wrong.push(`${delivered} messages passed, ${Math.floor(most)} may`);
  }
  if (action === 'drop') {
    expect('received', received, sent);
    expect('limited and delivered', limited + delivered, sent);
  }
  if (action === 'close') {
    expect('closed', Number(sender.dataProducer.closed), 1);
    expect('delivered before the first one over the limit', Number(delivered >= LIMIT), 1);
  }
  if (action === 'block') {
    await sender.transport.setLimit(null);
    await arrived();
    await until(() => sender.delivered === sent, PATIENCE);
    expect('delivered in the end', sender.delivered, sent);
    expect('limited', await sender.limited(), 0);
  }
  await until(async () => sender.reported === (await sender.limited()), PATIENCE);
  expect("reported by 'limit'", sender.reported, await sender.limited());
  return wrong;
}

/**
 * Alternates between quiet phases and floods; each has a new sender.
 *
 * @param {Case & { api: any, seconds: number, rounds: number }} options
 */
async function measureCase({ api, seconds, rounds, action }) {
  const scene = await Scene.create(api);

  pin(process.pid, 0, SERVED);
  scene.clients.pids.forEach((pid) => pin(pid, 1, SERVED));
  await scene.clients.ping({ seconds: Math.min(seconds, 1), size: SIZE });
  global.gc?.();

  const rssBefore = rss(process.pid);
  const memory = watchRss(process.pid);

  /**
   * The round trips of the well-behaved client, and the time of the worker.
   *
   * @param {() => void} [begin]
   * @returns {Promise<Phase>}
   */
  async function ping(begin = () => {}) {
    const {
      latencies = [],
      workerMicros = 0,
      wallMicros,
    } = await measure(async () => {
      begin();

      const trips = await scene.clients.ping({ seconds, size: SIZE });

      return { items: trips.length, latencies: trips };
    }, [scene.worker]);

    return { trips: Array.from(latencies), workerMicros, wallMicros };
  }

  /**
   * @param {Case['action']} way
   * @param {Pick<Scene, 'router' | 'webRtcServer' | 'direct'>} at
   */
  async function flood(way, at = scene) {
    const sender = await Sender.create(at, way);
    const begun = performance.now();
    /** @type {Promise<number>} */
    let sending = Promise.resolve(0);
    const phase = await ping(() => (sending = sender.send(seconds)));
    const sent = await sending;
    const time = (performance.now() - begun) / 1_000;
    const delivered = sender.delivered;
    const wrong = await count(sender, way, sent, begun);

    await sender.close();
    return { ...phase, sent, delivered, time, wrong };
  }

  /** @type {Phase[]} */
  const quiet = [];
  const floods = [];
  const elsewhere = [];
  const unlimited = [];

  for (let round = 0; round < rounds; round++) {
    quiet.push(await ping());
    floods.push(await flood(action));
    elsewhere.push(await flood(action, scene.elsewhere));
    if (action === 'drop') {
      unlimited.push(await flood(undefined));
    }
  }

  const growth = memory.highest() - rssBefore;

  await scene.close();

  const perTrip = sum(quiet.map((it) => it.workerMicros)) / tripsOf(quiet).length;
  /** @param {Phase[]} phases - what the worker did in them for the sender, in µs. */
  const cost = (phases) =>
    sum(phases.map((it) => it.workerMicros)) - perTrip * tripsOf(phases).length;
  const sent = sum(floods.map((it) => it.sent));
  const each = cost(floods) / sent;

  return {
    action,
    quiet: figures(quiet),
    flooded: figures(floods),
    elsewhere: figures(elsewhere),
    sent,
    delivered: sum(floods.map((it) => it.delivered)),
    perSecond: sent / sum(floods.map((it) => it.time)),
    share: cost(floods) / sum(floods.map((it) => it.wallMicros)),
    ratio:
      unlimited.length > 0
        ? each / (cost(unlimited) / sum(unlimited.map((it) => it.sent)))
        : undefined,
    growth,
    wrong: floods.concat(elsewhere, unlimited).flatMap((it) => it.wrong),
  };
}

/** @param {Phase[]} phases */
function tripsOf(phases) {
  return phases.flatMap(({ trips }) => trips);
}

/** @param {Phase[]} phases */
function figures(phases) {
  return { p50: quantile(tripsOf(phases), 0.5), p99: quantile(tripsOf(phases), 0.99) };
}

const COLUMNS = [
  '50,000 messages a second',
  'sent',
  'delivered meanwhile',
  "worker's core, for it",
  'per message, to no limit',
  'quiet p50 / p99 ms',
  'beside it p50 / p99 ms',
  'if another Worker has it p50 / p99 ms',
  'RSS',
];

/** @param {any[]} results */
function table(results) {
  return [
    COLUMNS,
    ...results.map(({ title, error, sent, delivered, share, ratio, growth, ...trips }) =>
      error
        ? [title, 'failed', ...Array(COLUMNS.length - 2).fill('')]
        : [
            title,
            sent.toLocaleString('en'),
            delivered.toLocaleString('en'),
            `${(share * 100).toFixed(1)} %`,
            ratio === undefined ? '' : `× ${ratio.toFixed(2)}`,
            trip(trips.quiet),
            trip(trips.flooded),
            trip(trips.elsewhere),
            `+${Math.max(0, growth).toFixed(1)} MiB`,
          ],
    ),
  ];
}

/** @param {{ p50: number, p99: number }} trips */
function trip({ p50, p99 }) {
  return `${(p50 / 1_000).toFixed(2)} / ${(p99 / 1_000).toFixed(2)}`;
}

/**
 * The promises that did not hold.
 *
 * @param {any} result
 * @param {number} slack
 */
function broken({ action, share, ratio, flooded, elsewhere, perSecond, growth, wrong }, slack) {
  const highest = Math.max(elsewhere.p99 * MAX_RATIO, elsewhere.p99 + NOISE) * slack;

  return [
    ...wrong,
    ...(action === 'close' || perSecond * slack > 0.9 * PER_SECOND
      ? []
      : [`the client sent ${Math.round(perSecond)} messages a second`]),
    ...((action === 'block' || action === 'close') && share > MAX_SHARE * slack
      ? [`${(share * 100).toFixed(1)} % of a core`]
      : []),
    ...(ratio > MAX_COST * slack ? [`${ratio.toFixed(2)} times the cost of no limit`] : []),
    ...(action && flooded.p99 > highest
      ? [`p99 ${trip(flooded)} ms, and ${trip(elsewhere)} if another Worker has it`]
      : []),
    ...(growth < MAX_GROWTH_MIB * slack ? [] : [`${growth.toFixed(1)} MiB more memory`]),
  ];
}

const suite = {
  broken,
  cases,
  defaults: { seconds: 3, rounds: 3 },
  measureCase,
  table,
  slack: true,
};

module.exports = { ...suite, main: () => runSuite(__filename, suite) };
