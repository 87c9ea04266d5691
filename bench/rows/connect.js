'use strict';

// WebRTC clients connect on one port: from createWebRtcTransport() to the open channel.

const { setTimeout: sleep } = require('node:timers/promises');

const { LISTEN_INFOS, makeClients } = require('../clients/connect');
const { DatachannelServer } = require('../references/datachannel');

/** After this time allocators have returned the memory of the handshakes, as far as they ever return it. */
const SETTLE_MS = 1_000;
const PROCESSES = 2;
/** More clients of libdatachannel would measure the machine, not the server. */
const MOST_OF_LIBDATACHANNEL = 200;

/**
 * @param {object} options
 * @param {number} options.count
 * @param {boolean} [options.light]
 * @param {import('../types').Mark} [options.mark]
 * @returns {import('../types').Row}
 */
function connect({ count: full, light = false, mark }) {
  const shown = full.toLocaleString('en');

  return {
    name: `connect${light ? '-light' : ''}-${full}`,
    title: `${shown} ${light ? 'light ' : ''}WebRTC clients connect on one port`,
    unit: 'connect',
    clients: light ? 'light' : 'libdatachannel',
    mark,
    // Later runs reuse the memory of earlier ones: only the first shows what a client needs.
    cold: true,
    async prepare({ api, fleet }) {
      const worker = await api.createWorker();
      const router = await worker.createRouter();
      const webRtcServer = await worker.createWebRtcServer({ listenInfos: LISTEN_INFOS });
      const count = fleet(full);
      const clients = makeClients({ count, light, processes: PROCESSES });
      const ofReference = Math.min(count, MOST_OF_LIBDATACHANNEL);
      const server = new DatachannelServer({ count: ofReference, processes: PROCESSES });
      /** @type {any[]} */
      let offers = [];
      /** @type {any[]} */
      let transports = [];
      let memoryBefore = 0;
      let first = true;

      /** @param {any} dtlsParameters */
      async function serve(dtlsParameters) {
        const transport = await router.createWebRtcTransport({ webRtcServer, enableSctp: true });

        await transport.produceData({ sctpStreamParameters: { streamId: 0 } });
        await transport.connect({ dtlsParameters });
        return transport;
      }

      return {
        workers: [worker],
        async before() {
          await clients.disconnect();
          offers = await clients.dtlsParameters(Array(count).fill(0));
          global.gc?.();
          memoryBefore = process.memoryUsage.rss();
        },
        async run() {
          transports = await Promise.all(offers.map(serve));
          await clients.connectTo(transports);
          return { items: count };
        },
        async after() {
          await sleep(SETTLE_MS);
          global.gc?.();

          const memory = (process.memoryUsage.rss() - memoryBefore) / 1024 / count;

          transports.forEach((transport) => transport.close());

          /** @type {Record<string, number>} */
          const figures = first ? { memory } : {};

          first = false;
          return figures;
        },
        reference: {
          name: ofReference < count ? `node-datachannel, ${ofReference}` : 'node-datachannel',
          before: () => server.offer(),
          run: () =>
            server.measured(async () => {
              await server.connect();
              return { items: ofReference };
            }),
          close: () => server.close(),
        },
        async close() {
          worker.close();
          await clients.close();
        },
      };
    },
  };
}

module.exports = [
  connect({ count: 200, mark: { cpu: 800, memory: 40 } }),
  connect({ count: 200, light: true, mark: { cpu: 800, memory: 40 } }),
  connect({ count: 1_000, light: true, mark: { cpu: 800, memory: 40 } }),
];
