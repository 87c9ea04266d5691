'use strict';

// JavaScript → Router → WebRTC clients in another process, at an even pace.

const { connectClients, withClientCpu } = require('../clients/connect');
const { paced } = require('../messages');
const { DatachannelServer } = require('../references/datachannel');

const SECONDS = 2;
/** More clients of libdatachannel would measure the machine, not the server. */
const MOST_OF_LIBDATACHANNEL = 40;
/** Messages per second by the number of clients: as many as one core can serve next to the server. */
const PER_SECOND = new Map([
  [1, 400],
  [10, 400],
  [40, 400],
  [100, 160],
  [500, 40],
]);
const SIZES = [
  { size: 100, sizeName: '100 B' },
  { size: 1_024, sizeName: '1 KB' },
];
/** The mark by the size of the message, for 40 clients of libdatachannel. */
const MARKS = new Map([
  [100, { cpu: 5 }],
  [1_024, { cpu: 6 }],
]);

/**
 * @param {object} options
 * @param {number} options.consumers
 * @param {boolean} options.light
 * @param {number} options.size
 * @param {string} options.sizeName
 * @returns {import('../types').Row}
 */
function fanOut({ consumers, light, size, sizeName }) {
  const perSecond = paceOf(consumers);
  const kind = light ? 'light' : 'libdatachannel';
  const name = `fan-out${light ? '-light' : ''}-${consumers}-${sizeName.replace(' ', '')}`;

  return {
    name,
    title: `1 direct → ${consumers} ${light ? 'light ' : ''}WebRTC, ${sizeName}, ${perSecond}/s`,
    unit: 'message',
    group: { name: 'fan-out', clients: kind, consumers, size },
    clients: kind,
    mark: !light && consumers === 40 ? MARKS.get(size) : undefined,
    async prepare({ api, scale, fleet }) {
      const count = fleet(consumers);
      const worker = await api.createWorker();
      const router = await worker.createRouter();
      const producer = await (await router.createDirectTransport()).produceData();
      const clients = await connectClients({
        worker,
        router,
        count,
        light,
        async prepare(transport) {
          const consumer = await transport.consumeData({ dataProducerId: producer.id });

          return consumer.sctpStreamParameters.streamId;
        },
      });
      const load = { count: scale(perSecond * SECONDS), size, perSecond };

      return {
        workers: [worker],
        async run() {
          await clients.ready({ latencies: true });
          return withClientCpu(clients, async () => {
            const received = clients.received(load.count);

            await paced({ send: (message) => producer.send(message), ...load });
            return received;
          });
        },
        reference: await reference({ consumers, scale, fleet, size }),
        async close() {
          worker.close();
          await clients.close();
        },
      };
    },
  };
}

/**
 * The same load on node-datachannel, with as many clients of libdatachannel as possible.
 *
 * @param {object} options
 * @param {number} options.consumers
 * @param {(count: number) => number} options.scale
 * @param {(count: number) => number} options.fleet
 * @param {number} options.size
 */
async function reference({ consumers, scale, fleet, size }) {
  const most = Math.min(consumers, MOST_OF_LIBDATACHANNEL);
  const perSecond = paceOf(most);
  const load = { count: scale(perSecond * SECONDS), size, perSecond };
  const server = new DatachannelServer({ count: fleet(most) });

  await server.offer();
  await server.connect();
  return {
    name: most < consumers ? `node-datachannel, ${most} clients` : 'node-datachannel',
    async run() {
      await server.clients.ready({ latencies: true });
      return server.measured(async () => {
        const received = server.clients.received(load.count);

        await server.call('broadcast', load);
        return received;
      });
    },
    close: () => server.close(),
  };
}

/** @param {number} consumers */
function paceOf(consumers) {
  return PER_SECOND.get(consumers) ?? 400;
}

const CLIENTS = [...PER_SECOND.keys()].flatMap((consumers) => [
  ...(consumers <= MOST_OF_LIBDATACHANNEL ? [{ consumers, light: false }] : []),
  { consumers, light: true },
]);

module.exports = CLIENTS.flatMap((clients) => SIZES.map((size) => fanOut({ ...clients, ...size })));
