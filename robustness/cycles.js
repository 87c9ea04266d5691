'use strict';

// npm run robustness -- cycles [--count=100000]
//
// Creates and closes objects of each kind on one Worker. Fails if memory, file descriptors, threads or handles grow, or
// if an object or a message is left at the end.

const { IMPL } = require('../bench/implementation');
const { readOptions } = require('../scripts/options');
const { Census, row } = require('./census');

const { createWorker } = require(IMPL);

/** Cycles that run at the same time. */
const BATCH = 20;
/** Samples over the whole run. */
const SAMPLES = 30;
/** The growth in MiB that does not count as a leak, because allocators keep memory that was freed. */
const MAX_RSS_GROWTH = 8;
const MAX_HEAP_GROWTH = 1;

const LISTEN_INFOS = [{ protocol: 'udp', ip: '127.0.0.1' }];
const STREAM = { sctpStreamParameters: { streamId: 1 } };
const LIMIT = { messagesPerSecond: 15, action: 'block' };
/** What a DataConsumer does with messages that have to wait: three fit. */
const WAYS = [
  ...['drop-newest', 'drop-oldest', 'keep-latest', 'block', 'close'].map((overflow) => ({
    overflow,
    maxBufferedAmount: 3 * 65,
  })),
  { maxQueueDelay: 60_000 },
  { paused: true, whilePaused: 'hold' },
];

/**
 * @typedef {object} World
 * @property {any} worker
 * @property {any} router
 * @property {any} webRtcServer
 * @property {any} direct - a DirectTransport.
 * @property {any} dataProducer - a DataProducer on `direct`.
 */

/**
 * The kinds of cycles, and their share of a hundred.
 *
 * @type {Record<string, { share: number, cycle: (world: World) => Promise<void> }>}
 */
const CYCLES = {
  'WebRtcTransport on its own port, with a DataProducer and a DataConsumer': {
    share: 20,
    async cycle({ router, dataProducer }) {
      const transport = await router.createWebRtcTransport({
        listenInfos: LISTEN_INFOS,
        enableSctp: true,
      });

      await transport.produceData(STREAM);
      await transport.consumeData({ dataProducerId: dataProducer.id });
      transport.close();
    },
  },
  'WebRtcTransport on a WebRtcServer': {
    share: 15,
    async cycle({ router, webRtcServer }) {
      const transport = await router.createWebRtcTransport({ webRtcServer, enableSctp: true });

      transport.close();
    },
  },
  'DataProducer and DataConsumer, with a message': {
    share: 15,
    async cycle({ direct }) {
      const dataProducer = await direct.produceData();
      const dataConsumer = await direct.consumeData({ dataProducerId: dataProducer.id });
      const arrived = new Promise((resolve) => dataConsumer.on('message', resolve));

      dataProducer.send('x'.repeat(100));
      await arrived;
      dataConsumer.close();
      dataProducer.close();
    },
  },
  'retain, limit and policies, closed while messages wait': {
    share: 10,
    async cycle({ direct }) {
      const dataProducer = await direct.produceData({ retain: { messages: 2 }, limit: LIMIT });
      const send = () => Array.from('messages', (letter) => dataProducer.send(letter));

      send();

      const dataConsumers = await Promise.all(
        WAYS.map((way) => direct.consumeData({ dataProducerId: dataProducer.id, ...way })),
      );
      const first = dataConsumers
        .filter(({ paused }) => !paused)
        .map((dataConsumer) => dataConsumer[Symbol.asyncIterator]().next());

      send();
      await Promise.all(first);
      dataConsumers.forEach((dataConsumer) => dataConsumer.close());
      dataProducer.close();
    },
  },
  'Router with a DirectTransport, closed from above': {
    share: 20,
    async cycle({ worker }) {
      const router = await worker.createRouter();
      const transport = await router.createDirectTransport();
      const { id } = await transport.produceData();

      await transport.consumeData({ dataProducerId: id });
      router.close();
    },
  },
  'PlainTransport and PipeTransport': {
    share: 18,
    async cycle({ router }) {
      const options = { listenInfo: LISTEN_INFOS[0], enableSctp: true };
      const transports = await Promise.all([
        router.createPlainTransport(options),
        router.createPipeTransport(options),
      ]);

      transports.forEach((transport) => transport.close());
    },
  },
  'pipeToRouter() to a Router that closes': {
    share: 2,
    async cycle({ worker, router, dataProducer }) {
      const other = await worker.createRouter();

      await router.pipeToRouter({ dataProducerId: dataProducer.id, router: other, keepId: false });
      other.close();
    },
  },
};

/** One more Worker is created and closed per this many cycles. */
const CYCLES_PER_WORKER = 500;

async function main() {
  const { count } = readOptions({ count: { type: 'integer', default: 100_000 } });
  const world = await arrange();
  const census = new Census();
  const kinds = Object.values(CYCLES).flatMap(({ share, cycle }) => Array(share).fill(cycle));
  // Mixes the kinds.
  const kindOf = (/** @type {number} */ index) => kinds[(index * 37) % kinds.length];
  const every = Math.ceil(count / SAMPLES / BATCH) * BATCH;

  await census.take({ cycles: 0 });
  console.log(census.head);
  for (let done = 0; done < count; done += BATCH) {
    if (done % every === 0 && done > 0) {
      console.log(row(await census.take({ cycles: done })));
    }
    await Promise.all(
      Array.from({ length: Math.min(BATCH, count - done) }, (_value, index) =>
        kindOf(done + index)(world),
      ),
    );
    if (done % CYCLES_PER_WORKER === 0) {
      await oneWorker();
    }
  }
  console.log(row(await census.take({ cycles: count })));
  await expectNothingLeft(world);
  world.worker.close();
  await new Promise((resolve) => world.worker.once('subprocessclose', resolve));
  verdict(census);
}

/** @returns {Promise<World>} */
async function arrange() {
  const worker = await createWorker();
  const router = await worker.createRouter();
  const webRtcServer = await worker.createWebRtcServer({ listenInfos: LISTEN_INFOS });
  const direct = await router.createDirectTransport();
  const dataProducer = await direct.produceData();

  return { worker, router, webRtcServer, direct, dataProducer };
}

async function oneWorker() {
  const worker = await createWorker();
  const ended = new Promise((resolve) => worker.once('subprocessclose', resolve));

  await worker.createRouter();
  worker.close();
  await ended;
}

/** @param {World} world */
async function expectNothingLeft({ worker, router, webRtcServer, direct, dataProducer }) {
  const { bytesHeld, channelMessageHandlers } = await worker.dump();
  const ids = [router, webRtcServer, direct, dataProducer].map(({ id }) => id);
  const left = channelMessageHandlers.channelRequestHandlers.filter(
    (/** @type {string} */ id) => !ids.includes(id),
  );

  if (left.length > 0) {
    throw new Error(
      `worker.dump() still lists ${left.length} closed objects, among them ${left[0]}`,
    );
  }
  if (bytesHeld > 0) {
    throw new Error(`${bytesHeld} bytes of messages are left`);
  }
}

/** @param {InstanceType<typeof Census>} census */
function verdict(census) {
  /** @type {Record<string, string>} */
  const units = { rss: ' (MiB)', heap: ' (MiB)' };
  const limits = { rss: MAX_RSS_GROWTH, heap: MAX_HEAP_GROWTH, fds: 0, threads: 0, handles: 0 };
  const grown = Object.entries(limits).filter(([name, limit]) => census.growth(name) > limit);

  for (const name of Object.keys(limits)) {
    console.log(
      `${name}${units[name] ?? ''}: ${census.growth(name).toFixed(1)} more in the last third than in the first`,
    );
  }
  if (grown.length > 0) {
    throw new Error(`growth: ${grown.map(([name]) => name).join(', ')}`);
  }
  console.log('flat');
}

exports.main = main;
