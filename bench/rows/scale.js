'use strict';

// The same work on two workers, which share nothing but the process, and on one, which is the reference.

const { connectClients } = require('../clients/connect');
const { Receiver, burst, inBatches, stream } = require('../messages');
const { sum } = require('../statistics');

const WORKERS = 2;

/**
 * @typedef {object} Side - the share of one worker.
 * @property {any} worker
 * @property {(part: number) => Promise<import('../types').Outcome>} run - does a part of the work, 0 to 1.
 * @property {() => Promise<void>} close
 */

/**
 * @param {object} options
 * @param {string} options.name
 * @param {string} options.title
 * @param {'light'} [options.clients]
 * @param {(context: import('../types').Context) => Promise<Side>} options.side
 * @returns {import('../types').Row}
 */
function scale({ name, title, clients, side: prepareSide }) {
  return {
    name,
    title: `${title}, ${WORKERS} workers`,
    unit: 'message',
    group: { name: 'scale' },
    clients,
    async prepare(context) {
      const one = await prepareSide(context);
      /** @type {Side[]} */
      const several = [];

      for (let index = 0; index < WORKERS; index++) {
        several.push(await prepareSide(context));
      }

      return {
        workers: several.map(({ worker }) => worker),
        async run() {
          const outcomes = await Promise.all(several.map(({ run }) => run(1 / WORKERS)));

          return {
            items: sum(outcomes.map(({ items }) => items)),
            lost: sum(outcomes.map(({ lost = 0 }) => lost)),
            disordered: sum(outcomes.map(({ disordered = 0 }) => disordered)),
          };
        },
        reference: {
          name: 'one worker',
          run: () => one.run(1),
          workers: [one.worker],
          close: one.close,
        },
        async close() {
          await Promise.all(several.map(({ close }) => close()));
        },
      };
    },
  };
}

/**
 * @param {import('../types').Context} context
 * @returns {Promise<Side>}
 */
async function direct({ api, scale }) {
  const worker = await api.createWorker();
  const router = await worker.createRouter();
  const transport = await router.createDirectTransport();
  const producer = await transport.produceData();
  const receivers = [Receiver.of(await transport.consumeData({ dataProducerId: producer.id }))];
  const send = (/** @type {Buffer} */ message) => producer.send(message);

  return {
    worker,
    run: (part) => stream({ send, receivers, count: scale(part * 1_000_000), size: 100 }),
    close: async () => worker.close(),
  };
}

/**
 * @param {import('../types').Context} context
 * @returns {Promise<Side>}
 */
async function fanOut({ api, scale, fleet }) {
  const worker = await api.createWorker();
  const router = await worker.createRouter();
  const producer = await (await router.createDirectTransport()).produceData();
  const send = (/** @type {Buffer} */ message) => producer.send(message);
  const size = 1_024;
  const clients = await connectClients({
    worker,
    router,
    count: fleet(10),
    light: true,
    async prepare(transport) {
      const consumer = await transport.consumeData({ dataProducerId: producer.id });

      return consumer.sctpStreamParameters.streamId;
    },
  });

  return {
    worker,
    async run(part) {
      await clients.ready();
      return inBatches({
        send: (from, to) => burst({ send, from, to, size }),
        received: (received) => clients.received(received),
        count: scale(part * 10_000),
      });
    },
    async close() {
      worker.close();
      await clients.close();
    },
  };
}

module.exports = [
  scale({ name: 'scale-direct', title: 'direct → direct, 100 B', side: direct }),
  scale({
    name: 'scale-fan-out',
    title: '1 direct → 10 light WebRTC, 1 KB, as fast as possible',
    clients: 'light',
    side: fanOut,
  }),
];
