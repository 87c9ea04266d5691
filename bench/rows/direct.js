'use strict';

// JavaScript → Router → JavaScript, on DirectTransports.

const { Receiver, stream } = require('../messages');
const { emitter } = require('../references/inProcess');

/**
 * @param {object} options
 * @param {string} options.name
 * @param {string} options.title
 * @param {number} options.count
 * @param {number} options.size
 * @param {number} [options.consumers]
 * @param {number} [options.window]
 * @param {import('../types').Mark} options.mark
 * @returns {import('../types').Row}
 */
function direct({ name, title, count, size, consumers = 1, window, mark }) {
  return {
    name,
    title,
    unit: 'message',
    mark,
    async prepare({ api, scale }) {
      const worker = await api.createWorker();
      const router = await worker.createRouter();
      const transport = await router.createDirectTransport();
      const producer = await transport.produceData();
      /** @type {import('../messages').Receiver[]} */
      const receivers = [];

      for (let index = 0; index < consumers; index++) {
        const consumer = await transport.consumeData({ dataProducerId: producer.id });

        receivers.push(Receiver.of(consumer));
      }

      const load = { count: scale(count), size, window };
      const send = (/** @type {Buffer} */ message) => producer.send(message);

      return {
        workers: [worker],
        run: () => stream({ send, receivers, ...load }),
        reference: { name: 'EventEmitter', ...emitter({ ...load, consumers }) },
        close: () => worker.close(),
      };
    },
  };
}

module.exports = [
  direct({
    name: 'direct-100B',
    title: 'direct → direct, 100 B',
    count: 1_000_000,
    size: 100,
    mark: { cpu: 0.6 },
  }),
  direct({
    name: 'direct-1KB',
    title: 'direct → direct, 1 KB',
    count: 500_000,
    size: 1_024,
    mark: { cpu: 1.0 },
  }),
  direct({
    name: 'direct-16KB',
    title: 'direct → direct, 16 KB',
    count: 100_000,
    size: 16_384,
    mark: { cpu: 6 },
  }),
  direct({
    name: 'direct-to-100',
    title: '1 direct → 100 direct, 100 B',
    count: 20_000,
    size: 100,
    consumers: 100,
    window: 200,
    mark: { cpu: 0.3 },
  }),
];
