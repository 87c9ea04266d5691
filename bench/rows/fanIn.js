'use strict';

// WebRTC clients in another process → Router → JavaScript, as fast as it goes.

const { EventEmitter, once } = require('node:events');

const { Receiver, sum, whenQuiet } = require('../harness');
const { DatachannelServer, connectPeers, withClientCpu } = require('../webrtc');

const SIZE = 1_024;
/** More clients of libdatachannel than these are too much for the machine, not for the server. */
const MOST_OF_LIBDATACHANNEL = 40;

/**
 * Resolves when all receivers have `count` messages, or nothing more comes.
 *
 * @param {import('../harness').Receiver[]} receivers
 * @param {number} count
 * @returns {Promise<import('../harness').Outcome>}
 */
async function allReceived(receivers, count) {
  const done = new EventEmitter();
  let left = count * receivers.length;

  receivers.forEach((receiver) =>
    receiver.reset(() => {
      left--;
      if (left === 0) {
        done.emit('end');
      }
    }),
  );

  const watch = whenQuiet(
    () => left,
    () => done.emit('end'),
  );

  await once(done, 'end');
  clearInterval(watch);
  return {
    items: count * receivers.length - left,
    lost: left,
    disordered: sum(receivers.map(({ disordered }) => disordered)),
  };
}

/**
 * @param {object} options
 * @param {number} options.peers
 * @param {number} options.count - of messages, each.
 * @param {boolean} [options.light]
 * @param {import('..').Mark} [options.mark]
 * @returns {import('..').Row}
 */
function fanIn({ peers: producers, count: each, light = false, mark }) {
  const clients = light ? 'light WebRTC' : 'WebRTC';

  return {
    name: `fan-in${light ? '-light' : ''}-${producers}-1KB`,
    title: `${producers} ${clients} → direct, 1 KB, ${each.toLocaleString('en')} each`,
    unit: 'message',
    clients: light ? 'light' : 'libdatachannel',
    mark,
    async prepare({ api, scale, fleet }) {
      const count = fleet(producers);
      const worker = await api.createWorker();
      const router = await worker.createRouter();
      const direct = await router.createDirectTransport();
      /** @type {import('../harness').Receiver[]} */
      const receivers = [];
      const peers = await connectPeers({
        worker,
        router,
        count,
        light,
        async prepare(transport) {
          const streamId = 0;
          const producer = await transport.produceData({ sctpStreamParameters: { streamId } });

          receivers.push(new Receiver(await direct.consumeData({ dataProducerId: producer.id })));
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
          withClientCpu(peers, async () => {
            const received = allReceived(receivers, load.count);

            await peers.send(load);
            return received;
          }),
        reference: {
          name:
            ofReference < count ? `node-datachannel, ${ofReference} clients` : 'node-datachannel',
          run: () =>
            server.measured(async () => {
              const received = server.call('received', load.count);

              await server.peers.send(load);
              return received;
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
  fanIn({ peers: 4, count: 30_000, mark: { cpu: 5 } }),
  fanIn({ peers: 4, count: 30_000, light: true }),
  fanIn({ peers: 100, count: 1_000, light: true }),
];
