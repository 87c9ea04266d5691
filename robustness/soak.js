'use strict';

// npm run robustness -- soak [--minutes=30] [--rooms=3] [--seed=N]
//
// Opens and closes rooms: WebRTC clients of libdatachannel, in processes of their own, connect to one Worker and
// exchange messages with each other and, through a pipe, with a second Worker. They close, they are killed, or the
// server closes objects in random order while messages are in transit. Samples this process every 10 s. Fails if it
// grows, if an undisturbed room loses a message, or if an object is left at the end.

const { setTimeout: sleep } = require('node:timers/promises');

const { answerOf, dtlsParametersOf } = require('../examples/sdp');
const { DatachannelClients } = require('../bench/clients/datachannel');
const { IMPL } = require('../bench/implementation');
const { readOptions } = require('../scripts/options');
const { Census, row } = require('./census');
const { Random } = require('./random');

const { createWorker } = require(IMPL);

const SAMPLE_MS = 10_000;
const CLIENTS_PER_ROOM = 4;
/**
 * The process of the clients is replaced after this many rooms, because libdatachannel's own growth is not of interest.
 */
const ROOMS_PER_PROCESS = 25;
const MESSAGES = 200;
/** The time that all messages of a room may take on a busy machine. */
const ROOM_MS = 60_000;
/** The growth in MiB that does not count as a leak, because allocators keep memory that was freed. */
const MAX_RSS_GROWTH = 8;
const MAX_HEAP_GROWTH = 2;

const LISTEN_INFOS = [{ protocol: 'udp', ip: '127.0.0.1' }];

/** Totals of this process. */
const seen = { rooms: 0, disturbed: 0, messages: 0, killed: 0, workers: 0 };

/** @typedef {{ here: any, there: any, servers: any[] }} World */

async function main() {
  const options = readOptions({
    minutes: { type: 'number', default: 30 },
    rooms: { type: 'integer', default: 3 },
    seed: { type: 'integer', min: 0, default: Date.now() % 1_000_000 },
  });
  const { seed } = options;

  console.log(`seed ${seed}`);

  const end = performance.now() + options.minutes * 60_000;
  const over = () => performance.now() >= end;
  const here = await createWorker();
  const there = await createWorker();
  const servers = [await here.createWebRtcServer({ listenInfos: LISTEN_INFOS })];
  const world = { here, there, servers };
  const census = new Census();
  const rooms = Array.from({ length: options.rooms }, (_value, index) =>
    roomAfterRoom(world, new Random(seed + index), over),
  );

  await census.take(await figures(world));
  console.log(census.head);
  /** @type {Error | undefined} */
  let failure;

  for (const room of rooms) {
    room.catch((error) => (failure = error));
  }
  while (!over() && !failure) {
    await sleep(SAMPLE_MS);
    console.log(row(await census.take(await figures(world))));
  }
  await Promise.all(rooms);
  await expectNothingLeft(world);
  for (const worker of [here, there]) {
    await worker[Symbol.asyncDispose]();
  }
  console.log(`at the end: ${row(await census.take({ ...seen }))}`);
  census.samples.pop();
  verdict(census);
}

/** @param {World} world */
async function figures({ here, there }) {
  const dumps = await Promise.all([here.dump(), there.dump()]);
  const open = dumps.flatMap((dump) => dump.channelMessageHandlers.channelRequestHandlers).length;

  return { ...seen, open };
}

/**
 * @param {World} world
 * @param {Random} random
 * @param {() => boolean} over
 */
async function roomAfterRoom(world, random, over) {
  /** @type {DatachannelClients | undefined} */
  let clients;

  for (let count = 0; !over(); count++) {
    if (count % ROOMS_PER_PROCESS === 0) {
      await clients?.close();
      clients = undefined;
    }
    clients ??= new DatachannelClients({ count: CLIENTS_PER_ROOM });
    if (await oneRoom(world, random, clients)) {
      clients = undefined;
    }
    seen.rooms++;
  }
  await clients?.close();
}

/**
 * @param {World} world
 * @param {Random} random
 * @param {DatachannelClients} clients
 * @returns {Promise<boolean>} whether the process of the clients has ended.
 */
async function oneRoom(world, random, clients) {
  const room = await openRoom(world, random, clients);
  const talk = talkIn(room, clients);

  if (random.chance(30)) {
    talk.catch(() => {}); // The promise may reject or never settle, because the room is disturbed.
    await disturb(random, room, clients);
    return true;
  }
  await within(talk, 'all messages of a room');
  if (random.chance(50)) {
    await clients.disconnect();
  }
  await closeAll(random, room, async () => {});
  await clients.disconnect();
  return false;
}

/**
 * Ends a room while messages are in transit.
 *
 * @param {Random} random
 * @param {Room} room
 * @param {DatachannelClients} clients
 */
async function disturb(random, room, clients) {
  seen.disturbed++;
  await sleep(random.below(50));
  if (random.chance(30)) {
    seen.killed++;
    await clients.kill();
    await sleep(random.below(200));
    await closeAll(random, room, async () => {});
    return;
  }
  if (random.chance(50)) {
    await clients.disconnect();
  }
  await closeAll(random, room, () => sleep(random.below(3)));
  await clients.close();
}

/** @typedef {Awaited<ReturnType<typeof openRoom>>} Room */

/**
 * @param {World} world
 * @param {Random} random
 * @param {DatachannelClients} clients
 */
async function openRoom({ here, there, servers }, random, clients) {
  const router = await here.createRouter();
  const farWorker = random.chance(10) ? await createWorker() : undefined;
  const farRouter = await (farWorker ?? there).createRouter();
  const direct = await router.createDirectTransport();
  const farDirect = await farRouter.createDirectTransport();
  const toAll = await direct.produceData();
  const where = random.chance(50) ? { webRtcServer: servers[0] } : { listenInfos: LISTEN_INFOS };
  const transports = [];
  const entities = [router, farRouter, direct, farDirect, toAll];
  const heard = [];

  seen.workers += farWorker ? 1 : 0;
  for (let index = 0; index < CLIENTS_PER_ROOM; index++) {
    const transport = await router.createWebRtcTransport({ ...where, enableSctp: true });
    const dataProducer = await transport.produceData({ sctpStreamParameters: { streamId: 1 } });
    const dataConsumer = await transport.consumeData({ dataProducerId: toAll.id, streamId: 1 });
    const { pipeDataProducer } = await router.pipeToRouter({
      dataProducerId: dataProducer.id,
      router: farRouter,
    });

    heard.push(await farDirect.consumeData({ dataProducerId: pipeDataProducer.id }));
    transports.push(transport);
    entities.push(transport, dataProducer, dataConsumer, pipeDataProducer, heard[index]);
  }

  const offers = await clients.offer(transports.map(() => 1));

  await Promise.all(
    transports.map((transport, index) =>
      transport.connect({ dtlsParameters: dtlsParametersOf(offers[index]) }),
    ),
  );
  await clients.connect(transports.map((transport) => answerOf(transport)));
  return { router, farRouter, farWorker, toAll, heard, entities };
}

/**
 * Sends from `toAll` to all clients, and from all clients to the other Worker.
 *
 * @param {Room} room
 * @param {DatachannelClients} clients
 */
async function talkIn({ toAll, heard }, clients) {
  await clients.ready();

  const arrived = heard.map(
    (dataConsumer) =>
      new Promise((resolve) => {
        let count = 0;

        dataConsumer.on('message', () => {
          seen.messages++;
          if (++count === MESSAGES) {
            resolve(undefined);
          }
        });
      }),
  );

  for (let number = 0; number < MESSAGES && !toAll.closed; number++) {
    const message = Buffer.alloc(1_000);

    message.writeUInt32LE(number, 0);
    toAll.send(message);
  }

  const [outcome] = await Promise.all([
    clients.received(MESSAGES),
    clients.send({ count: MESSAGES, size: 500 }),
  ]);

  if (outcome.items !== CLIENTS_PER_ROOM * MESSAGES || Number(outcome.disordered) > 0) {
    const expected = CLIENTS_PER_ROOM * MESSAGES;

    throw new Error(`expected ${expected} messages in order, got ${JSON.stringify(outcome)}`);
  }
  await Promise.all(arrived);
}

/**
 * @param {Random} random
 * @param {Room} room
 * @param {() => Promise<void>} pause - after each close().
 */
async function closeAll(random, { entities, farWorker, router, farRouter }, pause) {
  // In 30 % of the rooms only the Routers are closed: the close cascade ends the other objects.
  const order = random.chance(30) ? [router, farRouter] : random.shuffle(entities);

  for (const entity of order) {
    entity.close();
    await pause();
  }
  router.close();
  farRouter.close();
  await farWorker?.[Symbol.asyncDispose]();
}

/** @param {World} world */
async function expectNothingLeft({ here, there, servers }) {
  for (const worker of [here, there]) {
    const { routerIds, channelMessageHandlers } = await worker.dump();
    const left = channelMessageHandlers.channelRequestHandlers.length;

    if (routerIds.length > 0 || left !== (worker === here ? servers.length : 0)) {
      throw new Error(
        `worker.dump() lists ${left} objects and ${routerIds.length} routers after all routers closed`,
      );
    }
  }
}

/** @param {InstanceType<typeof Census>} census */
function verdict(census) {
  const limits = { rss: MAX_RSS_GROWTH, heap: MAX_HEAP_GROWTH };
  // These numbers vary with the rooms that are open; a leak would grow beyond that.
  const counted = { fds: CLIENTS_PER_ROOM * 10, threads: 4, handles: 10 };

  for (const [name, limit] of Object.entries({ ...limits, ...counted })) {
    const growth = census.growth(name);

    console.log(
      `${name}: ${census.slopePerHour(name).toFixed(2)} an hour; ` +
        `${growth.toFixed(1)} more in the last third than in the first`,
    );
    if (growth > limit) {
      throw new Error(`${name} grows`);
    }
  }
  console.log('flat');
}

/**
 * @template T
 * @param {Promise<T>} promise
 * @param {string} what
 * @returns {Promise<T>}
 */
async function within(promise, what) {
  /** @type {NodeJS.Timeout | undefined} */
  let timer;
  const late = new Promise((_resolve, reject) => {
    timer = setTimeout(
      () => reject(new Error(`timeout after ${ROOM_MS / 1000} s: ${what}`)),
      ROOM_MS,
    );
  });

  try {
    return await /** @type {Promise<T>} */ (Promise.race([promise, late]));
  } finally {
    clearTimeout(timer);
  }
}

exports.main = main;
