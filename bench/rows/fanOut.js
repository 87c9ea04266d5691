'use strict';

// JavaScript → Router → WebRTC clients in other processes, at an even pace.

const { paced } = require('../harness');
const { DatachannelServer, connectPeers } = require('../webrtc');

const PER_SECOND = 400;
const SECONDS = 4;

/**
 * @param {object} options
 * @param {number} options.peers
 * @param {number} options.size
 * @param {string} options.sizeName
 * @param {number} [options.perSecond]
 * @param {import('..').Mark} [options.mark]
 * @returns {import('..').Row}
 */
function fanOut({ peers: count, size, sizeName, perSecond = PER_SECOND, mark }) {
  const processes = count > 100 ? 2 : 1;

  return {
    name: `fan-out-${count}-${sizeName.replace(' ', '')}`,
    title: `1 direct → ${count} WebRTC, ${sizeName}, ${perSecond}/s`,
    unit: 'message',
    mark,
    async prepare({ api, scale }) {
      const worker = await api.createWorker();
      const router = await worker.createRouter();
      const producer = await (await router.createDirectTransport()).produceData();
      const peers = await connectPeers({
        worker,
        router,
        count,
        processes,
        async prepare(transport) {
          const consumer = await transport.consumeData({ dataProducerId: producer.id });

          return consumer.sctpStreamParameters;
        },
      });
      const server = new DatachannelServer({ count, processes });
      const load = { count: scale(perSecond * SECONDS), size, perSecond };

      await server.offer();
      await server.connect();
      return {
        workers: [worker],
        async run() {
          await peers.ready();

          const received = peers.received(load.count);

          await paced({ send: (message) => producer.send(message), ...load });
          return received;
        },
        reference: {
          name: 'node-datachannel',
          async run() {
            await server.peers.ready();
            await server.call('begin');

            const received = server.peers.received(load.count);

            await server.call('broadcast', load);

            const outcome = await received;
            const { cpuMicros } = await server.call('usage');

            return { ...outcome, cpuMicros };
          },
          close: () => server.close(),
        },
        async close() {
          worker.close();
          await peers.close();
        },
      };
    },
  };
}

module.exports = [
  fanOut({ peers: 20, size: 100, sizeName: '100 B' }),
  fanOut({ peers: 20, size: 1_024, sizeName: '1 KB' }),
  fanOut({ peers: 40, size: 100, sizeName: '100 B', mark: { later: { cpu: 5 } } }),
  fanOut({ peers: 40, size: 1_024, sizeName: '1 KB', mark: { later: { cpu: 6 } } }),
];
