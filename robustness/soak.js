'use strict';

// npm run robustness -- soak [--minutes=30] [--rooms=3] [--seed=N]
//
// Rooms come and go: WebRTC clients of libdatachannel in processes of their own connect to one Worker, talk to each
// other and, through a pipe, to a second Worker, and end in every way there is: they say goodbye, they are killed, or
// the server closes things in random order while messages are on their way. Each 10 s a look is taken at what this
// process holds. It fails if that grows, if a message is lost in a room that nobody has disturbed, or if anything is
// left in the end.

const path = require('node:path');

const { readOptions } = require('../scripts/options');
const { DatachannelClients, answerOf, dtlsParametersOf } = require('../bench/clients/datachannel');
const { Census, row } = require('./census');
const { Random } = require('./random');

const { createWorker } = require(path.resolve(process.env.IMPL ?? path.join(__dirname, '..')));

const SAMPLE_MS = 10_000;
const PEERS_PER_ROOM = 4;
/** A process of clients is replaced after so many rooms: what libdatachannel keeps is not looked at here. */
const ROOMS_PER_PROCESS = 25;
const MESSAGES = 200;
/** What all of a room's messages may take, on a busy machine. */
const ROOM_MS = 60_000;
/** Room for what allocators keep for later: MiB. */
const MAX_RSS_GROWTH = 8;
const MAX_HEAP_GROWTH = 2;

const LISTEN_INFOS = [{ protocol: 'udp', ip: '127.0.0.1' }];

/** What this process has seen. */
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
  let peers;

  for (let count = 0; !over(); count++) {
    if (count % ROOMS_PER_PROCESS === 0) {
      await peers?.close();
      peers = undefined;
    }
    peers ??= new DatachannelClients({ count: PEERS_PER_ROOM });
    if (await oneRoom(world, random, peers)) {
      peers = undefined;
    }
    seen.rooms++;
  }
  await peers?.close();
}

/**
 * @param {World} world
 * @param {Random} random
 * @param {DatachannelClients} peers
 * @returns {Promise<boolean>} whether the clients' process has ended with it.
 */
async function oneRoom(world, random, peers) {
  const room = await openRoom(world, random, peers);
  const talk = talkIn(room, peers);

  if (random.chance(30)) {
    talk.catch(() => {}); // it may as well never end
    await disturb(random, room, peers);
    return true;
  }
  await within(talk, 'all messages of a room');
  if (random.chance(50)) {
    await peers.disconnect();
  }
  await closeAll(random, room, async () => {});
  await peers.disconnect();
  return false;
}

/**
 * Ends a room whose messages are on their way.
 *
 * @param {Random} random
 * @param {Room} room
 * @param {DatachannelClients} peers
 */
async function disturb(random, room, peers) {
  seen.disturbed++;
  await sleep(random.below(50));
  if (random.chance(30)) {
    seen.killed++;
    await peers.kill();
    await sleep(random.below(200));
    await closeAll(random, room, async () => {});
    return;
  }
  if (random.chance(50)) {
    await peers.disconnect();
  }
  await closeAll(random, room, () => sleep(random.below(3)));
  await peers.close();
}

/** @typedef {Awaited<ReturnType<typeof openRoom>>} Room */

/**
 * @param {World} world
 * @param {Random} random
 * @param {DatachannelClients} peers
 */
async function openRoom({ here, there, servers }, random, peers) {
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
  for (let index = 0; index < PEERS_PER_ROOM; index++) {
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

  const offers = await peers.offer(transports.map(() => 1));

  await Promise.all(
    transports.map((transport, index) =>
      transport.connect({ dtlsParameters: dtlsParametersOf(offers[index]) }),
    ),
  );
  await peers.connect(transports.map(answerOf));
  return { router, farRouter, farWorker, toAll, heard, entities };
}

/**
 * Everybody hears `toAll`, and the far end everybody.
 *
 * @param {Room} room
 * @param {DatachannelClients} peers
 */
async function talkIn({ toAll, heard }, peers) {
  await peers.ready();

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
    peers.received(MESSAGES),
    peers.send({ count: MESSAGES, size: 500 }),
  ]);

  if (outcome.items !== PEERS_PER_ROOM * MESSAGES || Number(outcome.disordered) > 0) {
    throw new Error(`of ${PEERS_PER_ROOM * MESSAGES}: ${JSON.stringify(outcome)}`);
  }
  await Promise.all(arrived);
}

/**
 * @param {Random} random
 * @param {Room} room
 * @param {() => Promise<void>} pause - between two.
 */
async function closeAll(random, { entities, farWorker, router, farRouter }, pause) {
  // Often from above, which leaves nothing to do for the others.
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
      throw new Error(`${left} objects are left in worker.dump()`);
    }
  }
}

/** @param {InstanceType<typeof Census>} census */
function verdict(census) {
  const limits = { rss: MAX_RSS_GROWTH, heap: MAX_HEAP_GROWTH };
  // These go up and down with the rooms; what leaks only goes up.
  const counted = { fds: PEERS_PER_ROOM * 10, threads: 4, handles: 10 };

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

/** @param {number} ms */
function sleep(ms) {
  return new Promise((resolve) => setTimeout(resolve, ms));
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
    timer = setTimeout(() => reject(new Error(`not in time: ${what}`)), ROOM_MS);
  });

  try {
    return await /** @type {Promise<T>} */ (Promise.race([promise, late]));
  } finally {
    clearTimeout(timer);
  }
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
