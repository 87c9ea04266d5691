'use strict';

// A host in a process of its own. It announces DataProducers, sends numbered messages, consumes what others announce as
// soon as it sees it, as an application would, and says what it has seen. Times are milliseconds of the clock that all
// processes share.

const { createSocket } = require('node:dgram');

const { connect } = require('@nats-io/transport-node');
const { Redis } = require('ioredis');

const { latestWorker } = require('../../__test__/helpers/latestWorker');
const datasoup = require('../..');
const { connectClients } = require('../../bench/clients/connect');
const { burst, numberOf, paced, sinceStamp } = require('../../bench/messages');
const { serve } = require('../../bench/processes/host');
const { createCluster } = require('../../subpaths/cluster');
const { natsBus } = require('../../subpaths/cluster/nats');
const { redisBus } = require('../../subpaths/cluster/redis');

/** How soon a client of a bus tries to connect again, in milliseconds. */
const RECONNECT = 100;
/** The size of messages, if none is given. */
const SIZE = 100;
/** The size of number and time at the beginning of a message. */
const HEAD = 16;
const EVENTS = [
  'hostup',
  'hostdown',
  'busdown',
  'busup',
  'fenced',
  'died',
  'incompatible',
  'carrier',
];

/**
 * What came through one DataConsumer.
 *
 * @typedef {object} Life
 * @property {string} id - of the DataProducer.
 * @property {string} host
 * @property {number | undefined} until - when it closed.
 * @property {number} received
 * @property {number} missing - gaps between its messages.
 * @property {number} repeated - messages that had come before, or after a later one, also with former DataConsumers.
 * @property {number} reported - the sum of 'missed' events.
 * @property {number} longest - between two messages.
 */

const NOTHING = { received: 0, missing: 0, repeated: 0, reported: 0, longest: 0 };

/** @type {Life[]} */
const lives = [];
/** @type {{ at: number, event: string, args: any[] }[]} */
const events = [];
/** The highest number of each DataProducer. @type {Map<string, number>} */
const highest = new Map();
/** When the first message came that was sent after the mark, by DataProducer. @type {Map<string, number>} */
const fresh = new Map();
let mark = Infinity;

/** @type {import('../../subpaths/cluster').Bus} */
let bus;
/** @type {any} */
let cluster;
/** The native side of the Worker of the Cluster. */
let gateway = latestWorker();
/** @type {any} */
let worker;
/** @type {any} */
let router;
/** @type {any} */
let transport;
/** @type {any} */
let room;
/** @type {{ dataProducer: any, sent: number }[]} */
const own = [];
/** @type {any} */
let clients;
/** @type {() => Promise<unknown>} */
let disconnect;
/** @type {NodeJS.Timeout | undefined} */
let sending;

/** What sends through pipes, here and to other hosts. @type {Set<any>} */
const piped = new Set();

datasoup.observer.on('newworker', ({ observer: worker }) =>
  worker.on('newrouter', ({ observer: router }) =>
    router.on('newtransport', ({ observer, type }) => {
      if (type === 'pipe') {
        observer.on('newdataconsumer', (dataConsumer) => piped.add(dataConsumer));
      }
    }),
  ),
);

const now = () => Number(process.hrtime.bigint()) / 1e6;

/**
 * @param {string} event
 * @param {...any} args
 */
function note(event, ...args) {
  events.push({ at: now(), event, args });
}

/**
 * @param {'nats' | 'redis'} kind
 * @param {{ address: string, port: number }} server
 */
async function busTo(kind, { address, port }) {
  if (kind === 'nats') {
    const connection = await connect({
      servers: `${address}:${port}`,
      reconnectTimeWait: RECONNECT,
      maxReconnectAttempts: -1,
      waitOnFirstConnect: true,
      // Each host keeps to its server.
      ignoreClusterUpdates: true,
    });

    disconnect = () => connection.close();
    return natsBus(connection);
  }

  const client = new Redis({
    host: address,
    port,
    retryStrategy: () => RECONNECT,
    maxRetriesPerRequest: null,
  });

  disconnect = async () => client.disconnect();
  client.on('error', () => {});
  await client.ping();
  return redisBus(client);
}

/** @param {{ id: string, host: string }} remote */
async function consume({ id, host }) {
  try {
    const dataConsumer = await room.consumeData(transport, { dataProducerId: id });
    /** @type {Life} */
    const life = { id, host, until: undefined, ...NOTHING };
    let last = -1;
    let lastAt = now();

    lives.push(life);
    dataConsumer.observer.once('close', () => (life.until = now()));
    dataConsumer.on('message', (/** @type {Buffer} */ message) => {
      const number = numberOf(message);
      const at = now();

      life.received += 1;
      if (number <= (highest.get(id) ?? -1)) {
        life.repeated += 1;
      } else {
        life.missing += last >= 0 ? number - last - 1 : 0;
        last = number;
        highest.set(id, number);
      }
      life.longest = Math.max(life.longest, at - lastAt);
      lastAt = at;
      if (at - sinceStamp(message) / 1_000 >= mark && !fresh.has(id)) {
        fresh.set(id, at);
      }
    });
  } catch (error) {
    note('rejected', id, `${error}`);
  }
}

/** @param {typeof own[number]} each */
function sendOn(each, count = 1, size = SIZE) {
  const from = each.sent;

  each.sent += count;
  burst({ send: (message) => each.dataProducer.send(message), from, to: each.sent, size });
}

serve({
  /**
   * @param {object} options
   * @param {'nats' | 'redis'} options.kind
   * @param {{ address: string, port: number }} options.server
   * @param {string} options.host
   * @param {string} options.ip
   * @param {string} options.secret
   * @param {number} options.lease
   * @param {string} options.name - of the room.
   * @param {'auto' | 'pipe' | 'bus'} [options.carrier]
   * @param {number} [options.perSecond] - messages of each DataProducer.
   * @param {number} [options.clock] - how wrong the wall clock is, in milliseconds.
   */
  async start({ kind, server, host, ip, secret, lease, name, carrier, perSecond = 0, clock = 0 }) {
    const right = Date.now;

    Date.now = () => right() + clock;
    bus = await busTo(kind, server);
    cluster = await createCluster({
      bus,
      host,
      secret,
      listenInfo: { protocol: 'udp', ip },
      lease,
      carrier,
    });
    gateway = latestWorker();
    EVENTS.forEach((event) => cluster.on(event, note.bind(undefined, event)));
    worker = await datasoup.createWorker();
    router = await worker.createRouter();
    transport = await router.createDirectTransport();
    room = await cluster.join(name, { router });
    note('joined');
    room.on('dataproducer', (/** @type {any} */ remote) => {
      note('dataproducer', remote.id, remote.host);
      void consume(remote);
    });
    room.on('dataproducergone', (/** @type {any} */ remote, /** @type {string} */ why) =>
      note('gone', remote.id, remote.host, why),
    );
    room.on('missed', (/** @type {any} */ { id }, /** @type {number} */ atMost) => {
      const life = lives.findLast((each) => each.id === id);

      if (life) {
        life.reported += atMost;
      }
      note('missed', id, atMost);
    });
    if (perSecond > 0) {
      sending = setInterval(() => own.forEach((each) => sendOn(each)), 1_000 / perSecond);
    }
  },

  /** @returns {Promise<string>} the id of one more DataProducer. */
  async announce({ label = '', info = null } = {}) {
    const dataProducer = await transport.produceData({ label });

    room.announce(dataProducer, info);
    own.push({ dataProducer, sent: 0 });
    return dataProducer.id;
  },

  /** @param {string} id */
  withdraw(id) {
    const [{ dataProducer }] = own.splice(
      own.findIndex((each) => each.dataProducer.id === id),
      1,
    );

    dataProducer.close();
  },

  /** Sends messages of so many bytes on the first DataProducer. */
  send: (/** @type {number} */ count, /** @type {number} */ size) => sendOn(own[0], count, size),

  /** Sends a message with this text after its number. */
  sendText(/** @type {string} */ text) {
    const [first] = own;
    const head = Buffer.alloc(HEAD);

    head.writeUInt32LE(first.sent, 0);
    first.sent += 1;
    first.dataProducer.send(Buffer.concat([head, Buffer.from(text)]));
  },

  /** Sends a datagram to another host. */
  async inTheClear(/** @type {string} */ address, /** @type {string} */ text) {
    const socket = createSocket('udp4');

    await new Promise((resolve) => socket.send(text, 9, address, resolve));
    socket.close();
  },

  /** Publishes what no cluster has sealed. */
  publish: (/** @type {string} */ text) => bus.publish('other', Buffer.from(text)),

  /** Makes WebRTC clients that consume a DataProducer, and expect its message 0 next. */
  async connect(
    /** @type {string} */ id,
    /** @type {number} */ count,
    /** @type {boolean} */ light,
  ) {
    clients = await connectClients({
      worker,
      router,
      count,
      light,
      prepare: async (client) =>
        (await room.consumeData(client, { dataProducerId: id })).sctpStreamParameters.streamId,
    });
    await clients.ready();
  },

  /** Sends so many messages on the first DataProducer, and resolves after the last. */
  async pace(/** @type {number} */ count, /** @type {number} */ perSecond) {
    const [first] = own;

    await paced({
      send(message) {
        first.sent += 1;
        first.dataProducer.send(message);
      },
      count,
      size: SIZE,
      perSecond,
    });
  },

  sent: () => own[0].sent,

  /** What the clients have received, once each has so many messages or none comes any more. */
  async received(/** @type {number} */ count) {
    const { items, lost, disordered } = await clients.received(count);

    return { items, lost, disordered };
  },

  /** From now on, says when the first message of each DataProducer comes that was sent later than `at`. */
  mark(/** @type {number} */ at) {
    mark = at;
    fresh.clear();
  },

  /** Forgets what was seen, and what DataConsumers that are closed have received. */
  begin() {
    const open = lives.filter(({ until }) => until === undefined);

    events.length = 0;
    lives.splice(0, lives.length, ...open);
    open.forEach((life) => Object.assign(life, NOTHING));
  },

  /** Blocks the event loop. */
  block(/** @type {number} */ ms) {
    setTimeout(() => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms), 0);
  },

  /** The Worker of the Cluster dies. */
  panic: () => gateway?.panicForTests(),

  /** Resolves once a message of the first DataProducer has come to a DataConsumer of its own Router. */
  async route() {
    const [{ dataProducer }] = own;
    const dataConsumer = await transport.consumeData({ dataProducerId: dataProducer.id });
    const message = new Promise((resolve) => dataConsumer.once('message', resolve));

    sendOn(own[0]);
    await message;
    dataConsumer.close();
  },

  /** Makes control messages look like those of a later major release. */
  skew() {
    const { stringify } = JSON;

    JSON.stringify = (/** @type {any} */ value, /** @type {any[]} */ ...args) =>
      stringify(value?.v === undefined ? value : { ...value, v: value.v + 9 }, ...args);
  },

  /** `remote`: the DataProducers in the room. */
  seen: () => ({ events, lives, fresh, highest, remote: [...room.dataProducers.keys()] }),

  /** How many messages found the queue of a pipe full. */
  async dropped() {
    const open = [...piped].filter(({ closed }) => !closed);
    const stats = await Promise.all(open.map((dataConsumer) => dataConsumer.getStats()));

    return stats.reduce((sum, [{ messagesDropped }]) => sum + messagesDropped, 0);
  },

  /** @returns {Promise<number>} how many messages of its first DataProducer it had sent before. */
  async leave() {
    const sent = own[0]?.sent ?? 0;

    await cluster.close();
    clearInterval(sending);
    worker.close();
    await disconnect();
    return sent;
  },
});
