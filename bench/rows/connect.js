'use strict';

// WebRTC clients connect on one port: from createWebRtcTransport() to the open channel.

const { sleep } = require('../harness');
const { DatachannelServer, LISTEN_INFOS, makePeers } = require('../webrtc');

/** After so long what the handshakes needed is given back, as far as it ever is. */
const SETTLE_MS = 1_000;
const PROCESSES = 2;
/** More clients of libdatachannel than these are too much for the machine, not for the server. */
const MOST_OF_LIBDATACHANNEL = 200;

/**
 * @param {object} options
 * @param {number} options.clients
 * @param {boolean} [options.light]
 * @param {import('..').Mark} [options.mark]
 * @returns {import('..').Row}
 */
function connect({ clients, light = false, mark }) {
  const shown = clients.toLocaleString('en');

  return {
    name: `connect${light ? '-light' : ''}-${clients}`,
    title: `${shown} ${light ? 'light ' : ''}WebRTC clients connect on one port`,
    unit: 'connect',
    clients: light ? 'light' : 'libdatachannel',
    mark,
    // Memory that was used once is used again: only the first run shows what a client needs.
    cold: true,
    async prepare({ api, fleet }) {
      const worker = await api.createWorker();
      const router = await worker.createRouter();
      const webRtcServer = await worker.createWebRtcServer({ listenInfos: LISTEN_INFOS });
      const count = fleet(clients);
      const peers = makePeers({ count, light, processes: PROCESSES });
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
          await peers.disconnect();
          offers = await peers.dtlsParameters(Array(count).fill(0));
          global.gc?.();
          memoryBefore = process.memoryUsage.rss();
        },
        async run() {
          transports = await Promise.all(offers.map(serve));
          await peers.connectTo(transports);
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
          await peers.close();
        },
      };
    },
  };
}

module.exports = [
  connect({ clients: 200, mark: { cpu: 800, memory: 40 } }),
  connect({ clients: 200, light: true, mark: { cpu: 800, memory: 40 } }),
  connect({ clients: 1_000, light: true, mark: { cpu: 800, memory: 40 } }),
];
