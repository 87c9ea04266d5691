'use strict';

// What transports cost that are connected and say nothing, but for the consent checks of their clients; and the round
// trip of the one client that does speak: JavaScript → Router → WebRTC → the client → WebRTC → JavaScript.

const { measure, sleep } = require('../harness');
const { connectPeers } = require('../webrtc');

const PINGS = 5_000;
const SIZE = 100;
const IDLE_MS = 5_000;

/**
 * A worker with a client that sends back what it gets, and its round trips.
 *
 * @param {any} api
 * @param {number} count - of round trips.
 */
async function echo(api, count) {
  const worker = await api.createWorker();
  const router = await worker.createRouter();
  const direct = await router.createDirectTransport();
  const ping = await direct.produceData();
  const message = Buffer.alloc(SIZE, 'x');
  /** @type {any} */
  let pong;
  const peers = await connectPeers({
    worker,
    router,
    count: 1,
    light: true,
    async prepare(transport) {
      const back = 100;
      const producer = await transport.produceData({ sctpStreamParameters: { streamId: back } });
      const consumer = await transport.consumeData({ dataProducerId: ping.id });

      pong = await direct.consumeData({ dataProducerId: producer.id });
      return [back, consumer.sctpStreamParameters.streamId];
    },
  });

  await /** @type {import('../lightPeers').LightPeers} */ (peers).echo();
  return {
    worker,
    router,
    /** @returns {Promise<import('../harness').Outcome>} */
    run: () =>
      new Promise((resolve) => {
        const latencies = new Float64Array(count);
        let begun = performance.now();
        let done = 0;

        function onMessage() {
          latencies[done++] = (performance.now() - begun) * 1_000;
          if (done === count) {
            pong.off('message', onMessage);
            resolve({ items: count, latencies });
          } else {
            begun = performance.now();
            ping.send(message);
          }
        }

        pong.on('message', onMessage);
        ping.send(message);
      }),
    async close() {
      worker.close();
      await peers.close();
    },
  };
}

/**
 * @param {number} transports
 * @returns {import('..').Row}
 */
function idle(transports) {
  return {
    name: `idle-${transports}`,
    title: `ping over WebRTC beside ${transports.toLocaleString('en')} idle transports`,
    unit: 'round trip',
    group: { name: 'idle', transports },
    clients: 'light',
    async prepare({ api, scale, fleet }) {
      const pings = scale(PINGS);
      const count = fleet(transports);
      const quiet = await echo(api, pings);
      const { worker, router, ...busy } = await echo(api, pings);
      const waiting = scale(IDLE_MS);
      const doNothing = async () => {
        await sleep(waiting);
        return { items: 1 };
      };
      const before = await measure(doNothing, [worker]);
      const memoryBefore = process.memoryUsage.rss();
      const peers = await connectPeers({
        worker,
        router,
        count,
        light: true,
        async prepare(transport) {
          await transport.produceData({ sctpStreamParameters: { streamId: 0 } });
          return 0;
        },
      });

      await sleep(waiting);

      const after = await measure(doNothing, [worker]);
      const seconds = waiting / 1_000;
      const figures = {
        /** Of the whole process for all idle transports, in ms per second. */
        idleCpu: (after.cpuMicros - before.cpuMicros) / 1_000 / seconds,
        /** KiB per transport. */
        memory: (process.memoryUsage.rss() - memoryBefore) / 1024 / count,
      };

      return {
        workers: [worker],
        run: async () => ({ ...(await busy.run()), figures }),
        reference: { name: 'a worker without idle transports', run: quiet.run, close: quiet.close },
        async close() {
          await busy.close();
          await peers.close();
        },
      };
    },
  };
}

module.exports = [1_000, 10_000].map(idle);
