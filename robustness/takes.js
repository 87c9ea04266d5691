'use strict';

// npm run robustness -- takes [--takes=10000] [--joins=1000]
//
// Two Clusters of one process: one consumes what the other announces, and releases it, over pipes that stay and over
// new ones; then both join and leave rooms. Fails if memory, file descriptors, threads, handles, timers or objects of
// the Workers grow.

const { createHook } = require('node:async_hooks');

const datasoup = require('..');
const { readOptions } = require('../scripts/options');
const { createCluster, memoryBus } = require('../subpaths/cluster');
const { Census, row } = require('./census');
const { until } = require('./load/until');

/** DataProducers, and DataConsumers that are made at the same time. */
const BATCH = 20;
/** How many batches a pipe lasts: it ends with its last DataConsumer. */
const BATCHES_PER_PIPE = 10;
/** How many batches a DataProducer lasts. */
const BATCHES_PER_DATA_PRODUCER = 3;
/** Takes before the first sample: allocators grow to what is in use at a time. */
const WARM_UP = 1_500;
/** Samples of each part. */
const SAMPLES = 20;
/** How long a path stays without DataConsumers, in milliseconds. */
const LINGER = 1;
/** Growth that is not a leak: MiB of memory that allocators keep, and what is just ending. */
const LIMITS = { rss: 8, heap: 1, fds: 4, threads: 0, handles: 4, timers: 50, objects: 50 };

/** @type {Set<number>} */
const timers = new Set();

createHook({
  init: (id, type) => void (type === 'Timeout' && timers.add(id)),
  destroy: (id) => void timers.delete(id),
}).enable();

/** @type {any[]} */
const workers = [];

datasoup.observer.on('newworker', (worker) => workers.push(worker));

/** @typedef {{ cluster: any, router: any, transport: any }} Host */

/**
 * @param {import('../subpaths/cluster').Bus} bus
 * @returns {Promise<Host>}
 */
async function start(bus) {
  const cluster = await createCluster({
    bus,
    secret: 'a secret of more than thirty-two bytes',
    listenInfo: { protocol: 'udp', ip: '127.0.0.1' },
    linger: LINGER,
  });
  const router = await (await datasoup.createWorker()).createRouter();

  return { cluster, router, transport: await router.createDirectTransport() };
}

/** What there is in Workers and Clusters. */
async function figures(/** @type {Host[]} */ hosts) {
  const dumps = await Promise.all(workers.map((worker) => worker.dump()));
  const stats = await Promise.all(hosts.map(({ cluster }) => cluster.getStats()));
  const sizes = stats.map(
    ({ rooms, paths, takes, gives }) => rooms + paths + takes.length + gives.length,
  );

  return {
    timers: timers.size,
    objects: [
      ...dumps.map((dump) => dump.channelMessageHandlers.channelRequestHandlers.length),
      ...sizes,
    ].reduce((sum, each) => sum + each, 0),
  };
}

/** DataProducers of one host that the other one consumes. */
class Takes {
  /** @type {any[]} */
  dataProducers = [];
  /** @type {any} */
  held;

  /**
   * @param {Host} from
   * @param {Host} to
   */
  constructor(from, to) {
    this.from = from;
    this.to = to;
  }

  async join() {
    this.announced = await this.from.cluster.join('takes', { router: this.from.router });
    this.room = await this.to.cluster.join('takes', { router: this.to.router });
    while (this.dataProducers.length < BATCH) {
      await this.announce();
    }
  }

  async announce() {
    const dataProducer = await this.from.transport.produceData();

    this.announced.announce(dataProducer);
    this.dataProducers.push(dataProducer);
    await until(() => this.room.dataProducers.has(dataProducer.id));
  }

  /** @param {number} number - of the batch. */
  async batch(number) {
    const dataConsumers = await Promise.all(
      this.dataProducers.map(({ id }) =>
        this.room.consumeData(this.to.transport, { dataProducerId: id }),
      ),
    );

    await Promise.all(
      dataConsumers.map(async (dataConsumer, index) => {
        const arrived = new Promise((resolve) => dataConsumer.once('message', resolve));

        this.dataProducers[index].send(`${number}`);
        await arrived;
      }),
    );

    const [first, ...others] = dataConsumers;

    this.held?.close();
    this.held = number % BATCHES_PER_PIPE === 0 ? undefined : first;
    for (const dataConsumer of this.held ? others : dataConsumers) {
      dataConsumer.close();
    }
    if (number % BATCHES_PER_DATA_PRODUCER === 0) {
      this.dataProducers.splice(1, 1)[0].close();
      await this.announce();
    }
    await until(async () => (await this.to.cluster.getStats()).paths === (this.held ? 1 : 0));
  }

  async leave() {
    this.held?.close();
    this.dataProducers.forEach((dataProducer) => dataProducer.close());
    await this.announced.close();
    await this.room.close();
  }
}

/**
 * Two hosts join a room, one sees what the other has there, and both leave.
 *
 * @param {Host[]} hosts
 * @param {any} dataProducer - of the first.
 * @param {number} number
 */
async function joinAndLeave(hosts, dataProducer, number) {
  const [first, second] = await Promise.all(
    hosts.map(({ cluster, router }) => cluster.join(`room ${number}`, { router })),
  );

  first.announce(dataProducer);
  await until(() => second.dataProducers.has(dataProducer.id));
  await (number % 2 === 0 ? first : second).close();
  await Promise.all([first.close(), second.close()]);
}

/**
 * @param {string} what
 * @param {number} count
 * @param {number} step - how many of them `act` does.
 * @param {Host[]} hosts
 * @param {(done: number) => Promise<void>} act
 */
async function part(what, count, step, hosts, act) {
  const census = new Census();
  const every = Math.max(step, Math.ceil(count / SAMPLES / step) * step);

  for (let done = 0; done < count; done += step) {
    if (done % every === 0) {
      const sample = await census.take({ [what]: done, ...(await figures(hosts)) });

      console.log(done === 0 ? `${census.head}\n${row(sample)}` : row(sample));
    }
    await act(done / step);
  }
  console.log(row(await census.take({ [what]: count, ...(await figures(hosts)) })));

  const grown = Object.entries(LIMITS).filter(([name, limit]) => census.growth(name) > limit);

  if (grown.length > 0) {
    const growths = grown.map(([name]) => `${name} by ${census.growth(name).toFixed(1)}`);

    throw new Error(`${what}: growth of ${growths.join(', ')}`);
  }
  console.log(`${what}: flat`);
}

async function main() {
  const { takes: count, joins } = readOptions({
    takes: { type: 'integer', default: 10_000 },
    joins: { type: 'integer', default: 1_000 },
  });
  const bus = memoryBus();
  const hosts = [await start(bus), await start(bus)];
  const takes = new Takes(hosts[0], hosts[1]);

  await takes.join();
  for (let done = 0; done < WARM_UP; done += BATCH) {
    await takes.batch(done / BATCH);
  }
  await part('takes', count, BATCH, hosts, (number) => takes.batch(number));
  await takes.leave();

  const dataProducer = await hosts[0].transport.produceData();

  await part('joins', joins, 1, hosts, (number) => joinAndLeave(hosts, dataProducer, number));
  for (const { cluster, router } of hosts) {
    await cluster.close();
    router.close();
  }
  workers.forEach((worker) => worker.close());
}

exports.main = main;
