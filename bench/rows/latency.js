'use strict';

// Latency from send() to the receiver at 10, 50 and 90 % of the maximum rate. Messages are sent when they are due,
// whether or not earlier ones have arrived.

const { connectClients } = require('../clients/connect');
const { Receiver, burst, inBatches, openLoop, paced, stream } = require('../messages');
const { DatachannelServer } = require('../references/datachannel');
const { echoThread } = require('../references/inProcess');
const { median } = require('../statistics');

const PARTS = [0.1, 0.5, 0.9];
const SECONDS = 2;
const MEGABYTE = 1024 * 1024;
/** The number of runs; their median is the maximum rate. */
const TRIALS = 3;

/**
 * The maximum rate of a load, in items per second.
 *
 * @param {() => Promise<import('../types').Outcome>} load
 */
async function maximumOf(load) {
  const rates = [];

  await load();
  for (let trial = 0; trial < TRIALS; trial++) {
    const begin = performance.now();
    const { items } = await load();

    rates.push((items / (performance.now() - begin)) * 1_000);
  }
  return median(rates);
}

const CLIENTS = 10;
const WEBRTC_SIZE = 1_024;
const WEBRTC_COUNT = 10_000;

/**
 * @param {number} part
 * @returns {import('../types').Row}
 */
function fanOut(part) {
  const percent = part * 100;

  return {
    name: `latency-webrtc-${percent}`,
    title: `1 direct → ${CLIENTS} light WebRTC, 1 KB, at ${percent} % of the maximum`,
    unit: 'message',
    group: { name: 'latency', path: 'direct → WebRTC', part },
    clients: 'light',
    async prepare({ api, scale, fleet }) {
      const worker = await api.createWorker();
      const router = await worker.createRouter();
      const producer = await (await router.createDirectTransport()).produceData();
      const size = WEBRTC_SIZE;
      const probe = scale(WEBRTC_COUNT);
      const send = (/** @type {Buffer} */ message) => producer.send(message);
      const count = fleet(CLIENTS);
      const clients = await connectClients({
        worker,
        router,
        count,
        light: true,
        // The buffer is large, so that messages wait instead of being dropped, and the wait shows as latency.
        transportOptions: {
          sctpSendBufferSize: 64 * MEGABYTE,
          sctpPerStreamSendQueueLimit: 64 * MEGABYTE,
        },
        async prepare(transport) {
          const consumer = await transport.consumeData({ dataProducerId: producer.id });

          return consumer.sctpStreamParameters.streamId;
        },
      });
      const maximum = await maximumOf(async () => {
        await clients.ready();
        return inBatches({
          send: (from, to) => burst({ send, from, to, size }),
          received: (received) => clients.received(received),
          count: probe,
        });
      });
      const perSecond = (part * maximum) / count;
      const load = { count: scale(Math.ceil(perSecond * SECONDS)), size, perSecond };

      return {
        workers: [worker],
        async run() {
          await clients.ready({ latencies: true });

          const received = clients.received(load.count);

          await paced({ send, ...load });
          return { ...(await received), figures: { maximum } };
        },
        reference: await datachannelAt(part, { scale, fleet }),
        async close() {
          worker.close();
          await clients.close();
        },
      };
    },
  };
}

/**
 * The same load on a server of node-datachannel, at the same part of its own maximum.
 *
 * @param {number} part
 * @param {{ scale: (count: number) => number, fleet: (count: number) => number }} context
 */
async function datachannelAt(part, { scale, fleet }) {
  const count = fleet(CLIENTS);
  const server = new DatachannelServer({ count });
  const { clients } = server;
  const size = WEBRTC_SIZE;

  await server.offer();
  await server.connect();

  const maximum = await maximumOf(async () => {
    await clients.ready();
    return inBatches({
      send: (from, to) => server.call('burst', { from, to, size }),
      received: (received) => clients.received(received),
      count: scale(WEBRTC_COUNT),
    });
  });
  const perSecond = (part * maximum) / count;
  const load = { count: scale(Math.ceil(perSecond * SECONDS)), size, perSecond };

  return {
    name: 'node-datachannel',
    async run() {
      await clients.ready({ latencies: true });
      return server.measured(async () => {
        const received = clients.received(load.count);

        await server.call('broadcast', load);
        return { ...(await received), figures: { maximum } };
      });
    },
    close: () => server.close(),
  };
}

const DIRECT_SIZE = 100;
const DIRECT_COUNT = 500_000;

/**
 * @param {number} part
 * @returns {import('../types').Row}
 */
function direct(part) {
  const percent = part * 100;

  return {
    name: `latency-direct-${percent}`,
    title: `direct → direct, 100 B, at ${percent} % of the maximum`,
    unit: 'message',
    group: { name: 'latency', path: 'direct → direct', part },
    spins: true,
    async prepare({ api, scale }) {
      const worker = await api.createWorker();
      const router = await worker.createRouter();
      const transport = await router.createDirectTransport();
      const producer = await transport.produceData();
      const consumer = await transport.consumeData({ dataProducerId: producer.id });
      const thread = echoThread();

      return {
        workers: [worker],
        run: await atPart(part, {
          send: (message) => producer.send(message),
          receiver: Receiver.of(consumer),
          scale,
        }),
        reference: {
          name: 'worker_threads, there and back',
          run: await atPart(part, {
            send: (message) => thread.postMessage(message),
            receiver: Receiver.of(thread),
            scale,
          }),
          close: async () => void (await thread.terminate()),
        },
        close: () => worker.close(),
      };
    },
  };
}

/**
 * Measures the maximum rate, and returns a load at a part of it.
 *
 * @param {number} part
 * @param {object} path
 * @param {(message: Buffer) => void} path.send
 * @param {import('../messages').Receiver} path.receiver
 * @param {(count: number) => number} path.scale
 */
async function atPart(part, { send, receiver, scale }) {
  const size = DIRECT_SIZE;
  const probe = { send, receivers: [receiver], count: scale(DIRECT_COUNT), size };
  const maximum = await maximumOf(() => stream(probe));
  const perSecond = part * maximum;
  const count = scale(Math.ceil(perSecond * SECONDS));

  return async () => ({
    ...(await openLoop({ send, receiver, count, size, perSecond })),
    figures: { maximum },
  });
}

module.exports = [...PARTS.map(direct), ...PARTS.map(fanOut)];
