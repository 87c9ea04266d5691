'use strict';

// DirectTransport → pipe → DirectTransport, between two workers.

const { Receiver, stream } = require('../messages');
const { thread } = require('../references/inProcess');
const { LISTEN, overUdp, SCTP } = require('../references/pipes');

/**
 * As `overUdp()`, encrypted.
 *
 * @param {any} producer
 * @param {any} near
 * @param {any} far
 */
function overDtls(producer, near, far) {
  return overUdp(producer, near, far, { enableDtls: true });
}

/**
 * Pipes the DataProducer to the other router with pipeToRouter(), which chooses the way within one process.
 *
 * @param {any} producer
 * @param {any} near
 * @param {any} far
 */
async function toRouter(producer, near, far) {
  const options = { dataProducerId: producer.id, router: far, listenInfo: LISTEN, ...SCTP };
  const { pipeDataProducer } = await near.pipeToRouter(options);

  return pipeDataProducer;
}

/**
 * @param {object} options
 * @param {string} options.name
 * @param {string} options.title
 * @param {number} options.count
 * @param {number} options.size
 * @param {typeof overUdp} [options.carry]
 * @param {import('../types').Mark} [options.mark]
 * @returns {import('../types').Row}
 */
function pipe({ name, title, count, size, carry = overUdp, mark }) {
  return {
    name,
    title,
    unit: 'message',
    mark,
    async prepare({ api, scale }) {
      const workers = [await api.createWorker(), await api.createWorker()];
      const [near, far] = await Promise.all(workers.map((worker) => worker.createRouter()));
      const producer = await (await near.createDirectTransport()).produceData();
      const piped = await carry(producer, near, far);
      const consumer = await (
        await far.createDirectTransport()
      ).consumeData({ dataProducerId: piped.id });
      const receivers = [Receiver.of(consumer)];
      const load = { count: scale(count), size };

      return {
        workers,
        run: () => stream({ send: (message) => producer.send(message), receivers, ...load }),
        reference: { name: 'worker_threads, there and back', ...thread(load) },
        close: () => workers.forEach((worker) => worker.close()),
      };
    },
  };
}

module.exports = [
  pipe({
    name: 'pipe-100B',
    title: 'direct → pipe over UDP → direct, 100 B',
    count: 200_000,
    size: 100,
    mark: { cpu: 3 },
  }),
  pipe({
    name: 'pipe-1KB',
    title: 'direct → pipe over UDP → direct, 1 KB',
    count: 100_000,
    size: 1_024,
    mark: { cpu: 6.5 },
  }),
  pipe({
    name: 'pipe-16KB',
    title: 'direct → pipe over UDP → direct, 16 KB',
    count: 10_000,
    size: 16_384,
    mark: { cpu: 50 },
  }),
  pipe({
    name: 'pipe-dtls-100B',
    title: 'direct → pipe over DTLS → direct, 100 B',
    count: 200_000,
    size: 100,
    carry: overDtls,
  }),
  pipe({
    name: 'pipe-dtls-1KB',
    title: 'direct → pipe over DTLS → direct, 1 KB',
    count: 100_000,
    size: 1_024,
    carry: overDtls,
  }),
  pipe({
    name: 'pipe-to-router-1KB',
    title: 'direct → pipeToRouter() → direct, 1 KB',
    count: 100_000,
    size: 1_024,
    carry: toRouter,
  }),
];
