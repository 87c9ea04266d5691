'use strict';

// npm run robustness -- slow [--only=REGEX] [--seconds=N] [--rounds=N] [--json] [--list]
//
// One DataProducer and 200 WebRTC clients, some of which are frozen (SIGSTOP) in every other phase. The gap of a client
// is its longest time between two messages, beyond the interval at which they are sent: with 'block' that of the first
// client shows when the timeout ends, that of the last one how long it takes then to serve all. Fails if the other
// clients lose a message, if their longest gap exceeds that with all awake by more than the frozen ones may hold them
// up, or if their p99 doubles although these may not.

const { connectClients } = require('../bench/clients/connect');
const { paced } = require('../bench/messages');
const { quantile } = require('../bench/statistics');
const { runSuite } = require('./load/suite');
const { rss, watchRss } = require('./load/system');

const CLIENTS = 200;
/** Processes of the clients that stay awake; the frozen ones have one of their own. */
const PROCESSES = 3;
const PER_SECOND = 50;
const SIZE = 1_024;
/** The send buffer of a client in bytes: small, so that it is full after a few seconds. */
const SEND_BUFFER = 128 * 1024;
/** The bytes that an association holds besides the send buffer (docs/ARCHITECTURE.md, Bounds). */
const FLIGHT = 128 * 1024;

/** By how much gaps differ from phase to phase, in ms. */
const NOISE = 50;

/**
 * @typedef {object} Case
 * @property {string} name
 * @property {string} title
 * @property {number} count - of frozen clients.
 * @property {import('..').DataConsumerOverflow} [overflow]
 * @property {number} [overflowTimeout] - how long they may hold up the others, in ms.
 */

/** @type {Case[]} */
const cases = [
  { name: 'default', title: `5 of ${CLIENTS} frozen`, count: 5 },
  {
    name: 'drop-oldest',
    title: `1 of ${CLIENTS} frozen, 'drop-oldest'`,
    count: 1,
    overflow: 'drop-oldest',
  },
  {
    name: 'block',
    title: `1 of ${CLIENTS} frozen, 'block' for 500 ms`,
    count: 1,
    overflow: 'block',
    overflowTimeout: 500,
  },
];

/** Clients, and the DataConsumers that serve them. */
class Group {
  full = 0;
  stalled = 0;

  /**
   * @param {object} options
   * @param {any} options.worker
   * @param {any} options.router
   * @param {number} options.count
   * @param {number} options.processes
   * @param {import('..').DataConsumerOptions} options.consumerOptions
   */
  static async create({ worker, router, count, processes, consumerOptions }) {
    const group = new Group();

    group.clients = await connectClients({
      worker,
      router,
      count,
      processes,
      transportOptions: { sctpSendBufferSize: SEND_BUFFER },
      async prepare(transport) {
        const consumer = await transport.consumeData(consumerOptions);

        consumer.on('sctpsendbufferfull', () => group.full++);
        consumer.on('stalled', () => group.stalled++);
        group.consumers.push(consumer);
        group.transports.push(transport);
        return consumer.sctpStreamParameters.streamId;
      },
    });
    return group;
  }

  /** @type {any} */
  clients;
  /** @type {any[]} */
  consumers = [];
  /** @type {any[]} */
  transports = [];

  /** @param {NodeJS.Signals} signal */
  signal(signal) {
    this.clients.pids.forEach((/** @type {number} */ pid) => process.kill(pid, signal));
  }

  async dropped() {
    const stats = await Promise.all(this.consumers.map((consumer) => consumer.getStats()));

    return stats.reduce((total, [{ messagesDropped }]) => total + messagesDropped, 0);
  }

  buffered() {
    return this.consumers.reduce((total, { bufferedAmount }) => total + bufferedAmount, 0);
  }

  /** Resolves when nothing is queued for the clients of the group. */
  async drained() {
    while (this.buffered() > 0) {
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }
}

/**
 * Alternates between phases with all clients awake and phases with some frozen.
 *
 * @param {Case & { api: any, seconds: number, rounds: number }} options
 */
async function measureCase({ api, seconds, rounds, count: few, overflow, overflowTimeout }) {
  const worker = await api.createWorker();
  const router = await worker.createRouter();
  const producer = await (await router.createDirectTransport()).produceData();
  const consumerOptions = { dataProducerId: producer.id, overflow, overflowTimeout };
  const common = { worker, router, consumerOptions };
  const others = await Group.create({ ...common, count: CLIENTS - few, processes: PROCESSES });
  const frozen = await Group.create({ ...common, count: few, processes: 1 });
  const count = Math.round(seconds * PER_SECOND);

  async function phase() {
    const before = {
      full: [others.full, frozen.full],
      stalled: [others.stalled, frozen.stalled],
      dropped: [await others.dropped(), await frozen.dropped()],
    };
    const memory = watchRss(process.pid);

    await others.clients.ready({ latencies: true });

    const received = others.clients.received(count);

    await paced({
      send: (message) => producer.send(message),
      count,
      size: SIZE,
      perSecond: PER_SECOND,
    });

    const waiting = frozen.buffered();
    const { lost, disordered, latencies } = await received;

    return {
      latencies: await latencies(),
      gaps: (await others.clients.gaps()).map(
        (/** @type {number} */ gap) => gap - 1e6 / PER_SECOND,
      ),
      lost,
      disordered,
      waiting,
      rss: memory.highest(),
      others: {
        full: others.full - before.full[0],
        stalled: others.stalled - before.stalled[0],
        dropped: (await others.dropped()) - before.dropped[0],
      },
      frozen: {
        full: frozen.full - before.full[1],
        stalled: frozen.stalled - before.stalled[1],
        dropped: (await frozen.dropped()) - before.dropped[1],
      },
      states: frozen.transports.map(({ sctpState }) => sctpState),
    };
  }

  const awake = [];
  const stopped = [];

  await phase();
  global.gc?.();

  const rssBefore = rss(process.pid);

  for (let round = 0; round < rounds; round++) {
    awake.push(await phase());
    frozen.signal('SIGSTOP');
    stopped.push(await phase());
    frozen.signal('SIGCONT');
    await frozen.drained();
  }
  awake.push(await phase());
  worker.close();
  await Promise.all([others.clients.close(), frozen.clients.close()]);

  const summary = (/** @type {any[]} */ phases) => {
    const latencies = phases.flatMap((each) => each.latencies);
    const gaps = phases.flatMap((each) => each.gaps);
    const total = (/** @type {(each: any) => number} */ of) =>
      phases.reduce((sum, each) => sum + of(each), 0);

    return {
      messages: latencies.length,
      p50: quantile(latencies, 0.5),
      p99: quantile(latencies, 0.99),
      p99s: phases.map((each) => Math.round(quantile(each.latencies, 0.99))),
      longest: Math.max(...phases.map((each) => quantile(each.latencies, 1))),
      gaps: [0, 0.5, 1].map((part) => quantile(gaps, part)),
      lost: total(({ lost }) => lost),
      disordered: total(({ disordered }) => disordered),
      othersDropped: total((each) => each.others.dropped),
      frozenDropped: total((each) => each.frozen.dropped),
      frozenFull: total((each) => each.frozen.full),
      frozenStalled: total((each) => each.frozen.stalled),
      othersStalled: total((each) => each.others.stalled),
      waiting: Math.max(...phases.map(({ waiting }) => waiting)),
      rss: Math.max(...phases.map((each) => each.rss)) - rssBefore,
    };
  };
  const figures = { awake: summary(awake), stopped: summary(stopped) };

  return {
    ...figures,
    overflowTimeout,
    rounds,
    ratio: figures.stopped.p99 / figures.awake.p99,
    rss: rssBefore,
    bound: (few * (SEND_BUFFER + SIZE + FLIGHT)) / 2 ** 20,
    states: stopped.flatMap(({ states }) => states).join(' '),
  };
}

const COLUMNS = [
  '',
  'messages',
  'p50 ms',
  'p99 ms',
  'longest ms',
  'gap least / p50 / longest ms',
  'lost',
  'dropped for the frozen',
  "'sctpsendbufferfull'",
  "'stalled'",
  'RSS',
];

/** @param {any[]} results */
function table(results) {
  return [
    COLUMNS,
    ...results.flatMap(({ error, title, ...figures }) =>
      error
        ? [[title, 'failed', ...Array(COLUMNS.length - 2).fill('')]]
        : [
            ['all awake', figures.awake],
            [title, figures.stopped],
          ].map(([name, each]) => [
            name,
            `${each.messages}`,
            (each.p50 / 1_000).toFixed(2),
            (each.p99 / 1_000).toFixed(2),
            (each.longest / 1_000).toFixed(0),
            each.gaps.map((/** @type {number} */ gap) => (gap / 1_000).toFixed(0)).join(' / '),
            `${each.lost + each.othersDropped}`,
            `${each.frozenDropped}`,
            `${each.frozenFull}`,
            `${each.frozenStalled + each.othersStalled}`,
            `${each.rss >= 0 ? '+' : ''}${each.rss.toFixed(1)} MiB`,
          ]),
    ),
  ];
}

/** The promises that did not hold. */
function broken(/** @type {any} */ { awake, stopped, ratio, rounds, overflowTimeout }) {
  const held = (Math.max(...stopped.gaps) - Math.max(...awake.gaps)) / 1_000;
  // The one that blocks does so once in each phase.
  const stalls = overflowTimeout ? rounds : 0;

  return [
    ...(stopped.lost + stopped.othersDropped > 0 ? [`${stopped.lost} messages lost`] : []),
    ...(stopped.frozenDropped === 0 ? ['no message was dropped for the frozen clients'] : []),
    ...(held > (overflowTimeout ?? 0) + NOISE ? [`held up for ${Math.round(held)} ms`] : []),
    ...(stopped.frozenStalled !== stalls || stopped.othersStalled > 0
      ? [`stalled: ${stopped.frozenStalled} frozen, ${stopped.othersStalled} others`]
      : []),
    ...(!overflowTimeout && ratio > 2 ? [`p99 × ${ratio.toFixed(1)}`] : []),
  ];
}

const suite = { broken, cases, defaults: { seconds: 8, rounds: 3 }, measureCase, table };

module.exports = { ...suite, main: () => runSuite(__filename, suite) };
