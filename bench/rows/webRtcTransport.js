'use strict';

// The life of WebRtcTransports without a client: create, produceData, getStats, close.

const { threadPingPong } = require('../references/inProcess');

const COUNT = 5_000;
/** Transports that are alive at a time, where lives overlap. */
const LANES = 32;
const LISTEN_INFOS = [{ protocol: 'udp', ip: '127.0.0.1' }];

/**
 * @param {object} options
 * @param {string} options.name
 * @param {string} options.title
 * @param {(worker: any) => Promise<object>} options.where - the options that say where they listen.
 * @param {number} [options.lanes] - transports that are alive at a time.
 * @param {import('../types').Mark} [options.mark]
 * @returns {import('../types').Row}
 */
function lives({ name, title, where, lanes = LANES, mark }) {
  return {
    name,
    title,
    unit: 'transport',
    mark,
    async prepare({ api, scale }) {
      const worker = await api.createWorker();
      const router = await worker.createRouter();
      const options = { enableSctp: true, ...(await where(worker)) };
      const count = scale(COUNT);

      async function live() {
        const transport = await router.createWebRtcTransport(options);

        await transport.produceData({ sctpStreamParameters: { streamId: 0 } });
        await transport.getStats();
        transport.close();
      }

      return {
        workers: [worker],
        async run() {
          let begun = 0;

          async function lane() {
            while (begun < count) {
              begun++;
              await live();
            }
          }

          await Promise.all(Array.from({ length: lanes }, lane));
          return { items: count };
        },
        reference: {
          name: 'worker_threads, three times there and back',
          ...threadPingPong({ count, size: 100, trips: 3 }),
        },
        close: () => worker.close(),
      };
    },
  };
}

module.exports = [
  lives({
    name: 'transport-own-port',
    title: 'WebRtcTransport with its own port: create, produceData, getStats, close',
    where: async () => ({ listenInfos: LISTEN_INFOS }),
    mark: { cpu: 60 },
  }),
  lives({
    name: 'transport-awaited',
    title: 'WebRtcTransport with its own port, one at a time: create, produceData, getStats, close',
    where: async () => ({ listenInfos: LISTEN_INFOS }),
    lanes: 1,
    mark: { cpu: 150 },
  }),
  lives({
    name: 'transport-on-server',
    title: 'WebRtcTransport on a WebRtcServer: create, produceData, getStats, close',
    where: async (worker) => ({
      webRtcServer: await worker.createWebRtcServer({ listenInfos: LISTEN_INFOS }),
    }),
  }),
];
