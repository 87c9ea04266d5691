'use strict';

// WebRTC clients in another process → Router → JavaScript, as fast as possible.

const { connectClients, withClientCpu } = require('../clients/connect');
const { Receiver, allReceived } = require('../messages');
const { DatachannelServer } = require('../references/datachannel');

const SIZE = 1_024;
/** More clients of libdatachannel would measure the machine, not the server. */
const MOST_OF_LIBDATACHANNEL = 40;

/**
 * @param {object} options
 * @param {number} options.clients
 * @param {number} options.count - messages per client.
 * @param {boolean} [options.light]
 * @param {import('../types').Mark} [options.mark]
 * @returns {import('../types').Row}
 */
function fanIn({ clients: producers, count: each, light = false, mark }) {
  const kind = light ? 'light WebRTC' : 'WebRTC';

  return {
    name: `fan-in${light ? '-light' : ''}-${producers}-1KB`,
    title: `${producers} ${kind} → direct, 1 KB, ${each.toLocaleString('en')} each`,
    unit: 'message',
    clients: light ? 'light' : 'libdatachannel',
    mark,
    async prepare({ api, scale, fleet }) {
      const count = fleet(producers);
      const worker = await api.createWorker();
      const router = await worker.createRouter();
      const direct = await router.createDirectTransport();
      /** @type {import('../messages').Receiver[]} */
      const receivers = [];
      const clients = await connectClients({
        worker,
        router,
        count,
        light,
        async prepare(transport) {
          const streamId = 0;
          const producer = await transport.produceData({ sctpStreamParameters: { streamId } });

          receivers.push(Receiver.of(await direct.consumeData({ dataProducerId: producer.id })));
          return streamId;
        },
      });
      const ofReference = Math.min(count, MOST_OF_LIBDATACHANNEL);
      const server = new DatachannelServer({ count: ofReference });
      const load = { count: scale(each), size: SIZE };

      await server.offer();
      await server.connect();
      return {
        workers: [worker],
        run: () =>
          withClientCpu(clients, async () => {
            receivers.forEach((receiver) => receiver.reset());

            const received = allReceived(receivers, load.count);

            await clients.send(load);
            return received;
          }),
        reference: {
          name:
            ofReference < count ? `node-datachannel, ${ofReference} clients` : 'node-datachannel',
          run: () =>
            server.measured(async () => {
              const received = server.call('received', load.count);

              await server.clients.send(load);
              return received;
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
  fanIn({ clients: 4, count: 30_000, mark: { cpu: 5 } }),
  fanIn({ clients: 4, count: 30_000, light: true }),
  fanIn({ clients: 100, count: 1_000, light: true }),
];
