'use strict';

// WebRTC clients in another process → Router → JavaScript, as fast as it goes.

const { EventEmitter, once } = require('node:events');

const { Receiver, sum } = require('../harness');
const { DatachannelServer, connectPeers } = require('../webrtc');

const PEERS = 4;
const COUNT = 30_000;
const SIZE = 1_024;
/** A stream whose messages have stopped coming for so long has lost the rest. */
const QUIET_MS = 5_000;

/**
 * Resolves when all receivers have `count` messages, or nothing more comes.
 *
 * @param {Receiver[]} receivers
 * @param {number} count
 * @returns {Promise<import('../harness').Outcome>}
 */
async function allReceived(receivers, count) {
  const done = new EventEmitter();
  let left = count * receivers.length;
  let seen = -1;

  receivers.forEach((receiver) =>
    receiver.reset(() => {
      left--;
      if (left === 0) {
        done.emit('end');
      }
    }),
  );

  const watch = setInterval(() => {
    if (left === seen) {
      done.emit('end');
    }
    seen = left;
  }, QUIET_MS);

  await once(done, 'end');
  clearInterval(watch);
  return {
    items: count * receivers.length - left,
    lost: left,
    disordered: sum(receivers.map(({ disordered }) => disordered)),
  };
}

/** @type {import('..').Row} */
const fanIn = {
  name: `fan-in-${PEERS}-1KB`,
  title: `${PEERS} WebRTC → direct, 1 KB, ${COUNT.toLocaleString('en')} each`,
  unit: 'message',
  mark: { later: { cpu: 5 } },
  async prepare({ api, scale }) {
    const worker = await api.createWorker();
    const router = await worker.createRouter();
    const direct = await router.createDirectTransport();
    /** @type {Receiver[]} */
    const receivers = [];
    const peers = await connectPeers({
      worker,
      router,
      count: PEERS,
      async prepare(transport) {
        const streamId = 0;
        const producer = await transport.produceData({ sctpStreamParameters: { streamId } });

        receivers.push(new Receiver(await direct.consumeData({ dataProducerId: producer.id })));
        return { streamId };
      },
    });
    const server = new DatachannelServer({ count: PEERS });
    const load = { count: scale(COUNT), size: SIZE };

    await server.offer();
    await server.connect();
    return {
      workers: [worker],
      async run() {
        const received = allReceived(receivers, load.count);

        await peers.send(load);
        return received;
      },
      reference: {
        name: 'node-datachannel',
        async run() {
          await server.call('begin');

          const received = server.call('received', load.count);

          await server.peers.send(load);

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

module.exports = [fanIn];
