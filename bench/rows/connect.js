'use strict';

// WebRTC clients connect on one port: from createWebRtcTransport() to the open channel.

const { Peers, answerOf, dtlsParametersOf } = require('../peers');
const { DatachannelServer, LISTEN_INFOS } = require('../webrtc');

const COUNT = 200;
const PROCESSES = 2;

/** @type {import('..').Row} */
const connect = {
  name: `connect-${COUNT}`,
  title: `${COUNT} WebRTC clients connect on one port`,
  unit: 'connect',
  mark: { later: { cpu: 800, memory: 40 } },
  // Memory that was used once is used again: only the first run shows what a client needs.
  cold: true,
  async prepare({ api, scale }) {
    const worker = await api.createWorker();
    const router = await worker.createRouter();
    const webRtcServer = await worker.createWebRtcServer({ listenInfos: LISTEN_INFOS });
    const count = scale(COUNT);
    const peers = new Peers({ count, processes: PROCESSES });
    const server = new DatachannelServer({ count, processes: PROCESSES });
    /** @type {string[]} */
    let offers = [];
    let first = true;

    /** @param {string} offer */
    async function serve(offer) {
      const transport = await router.createWebRtcTransport({ webRtcServer, enableSctp: true });

      await transport.produceData({ sctpStreamParameters: { streamId: 0 } });
      await transport.connect({ dtlsParameters: dtlsParametersOf(offer) });
      return transport;
    }

    return {
      workers: [worker],
      async before() {
        await peers.disconnect();
        offers = await peers.offer(Array(count).fill(0));
      },
      async run() {
        global.gc?.();

        const before = process.memoryUsage.rss();
        const transports = await Promise.all(offers.map(serve));

        await peers.connect(transports.map(answerOf));

        const used = (process.memoryUsage.rss() - before) / 1024 / count;

        transports.forEach((transport) => transport.close());

        const memory = first ? { memory: used } : {};

        first = false;
        return { items: count, figures: memory };
      },
      reference: {
        name: 'node-datachannel',
        before: () => server.offer(),
        async run() {
          await server.call('begin');
          await server.connect();

          const { cpuMicros } = await server.call('usage');

          return { items: count, cpuMicros };
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

module.exports = [connect];
