'use strict';

// JavaScript → Router → WebRTC clients in another process, at an even pace.

const { paced } = require('../harness');
const { DatachannelServer, connectPeers, withClientCpu } = require('../webrtc');

const SECONDS = 2;
/** More clients of libdatachannel than these are too much for the machine, not for the server. */
const MOST_OF_LIBDATACHANNEL = 40;
/** How often the clients get a message: as many as one core serves beside the server. */
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
/** By the size, of 40 clients of libdatachannel. */
const MARKS = new Map([
  [100, { cpu: 5 }],
  [1_024, { cpu: 6 }],
]);

/**
 * @param {object} options
 * @param {number} options.peers
 * @param {boolean} options.light
 * @param {number} options.size
 * @param {string} options.sizeName
 * @returns {import('..').Row}
 */
function fanOut({ peers: consumers, light, size, sizeName }) {
  const perSecond = paceOf(consumers);
  const clients = light ? 'light' : 'libdatachannel';
  const name = `fan-out${light ? '-light' : ''}-${consumers}-${sizeName.replace(' ', '')}`;

  return {
    name,
    title: `1 direct → ${consumers} ${light ? 'light ' : ''}WebRTC, ${sizeName}, ${perSecond}/s`,
    unit: 'message',
    group: { name: 'fan-out', clients, consumers, size },
    clients,
    mark: !light && consumers === 40 ? MARKS.get(size) : undefined,
    async prepare({ api, scale, fleet }) {
      const count = fleet(consumers);
      const worker = await api.createWorker();
      const router = await worker.createRouter();
      const producer = await (await router.createDirectTransport()).produceData();
      const peers = await connectPeers({
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
          await peers.ready({ latencies: true });
          return withClientCpu(peers, async () => {
            const received = peers.received(load.count);

            await paced({ send: (message) => producer.send(message), ...load });
            return received;
          });
        },
        reference: await reference({ consumers, scale, fleet, size }),
        async close() {
          worker.close();
          await peers.close();
        },
      };
    },
  };
}

/**
 * The same for clients of libdatachannel, as many as there can be.
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
      await server.peers.ready({ latencies: true });
      return server.measured(async () => {
        const received = server.peers.received(load.count);

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

const CLIENTS = [...PER_SECOND.keys()].flatMap((peers) => [
  ...(peers <= MOST_OF_LIBDATACHANNEL ? [{ peers, light: false }] : []),
  { peers, light: true },
]);

module.exports = CLIENTS.flatMap((clients) => SIZES.map((size) => fanOut({ ...clients, ...size })));
