'use strict';

// Connected transports without traffic, except for the consent checks of their clients: what they cost, and the round
// trip of the one active client: JavaScript → Router → WebRTC → client → WebRTC → Router → JavaScript.

const { setTimeout: sleep } = require('node:timers/promises');

const { connectClients } = require('../clients/connect');
const { measure } = require('../measure');

const PINGS = 5_000;
const SIZE = 100;
const IDLE_MS = 5_000;

/**
 * A worker with one client that sends back what it receives.
 *
 * @param {any} api
 * @param {number} count - round trips per run.
 */
async function echo(api, count) {
  const worker = await api.createWorker();
  const router = await worker.createRouter();
  const direct = await router.createDirectTransport();
  const ping = await direct.produceData();
  const message = Buffer.alloc(SIZE, 'x');
  /** @type {any} */
  let pong;
  const clients = await connectClients({
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

  await /** @type {import('../clients/light').LightClients} */ (clients).echo();
  return {
    worker,
    router,
    /** @returns {Promise<import('../types').Outcome>} */
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
      await clients.close();
    },
  };
}

/**
 * @param {number} transports
 * @returns {import('../types').Row}
 */
function idle(transports) {
  return {
    name: `idle-${transports}`,
    title: `ping over WebRTC next to ${transports.toLocaleString('en')} idle transports`,
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
      const clients = await connectClients({
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
        /** CPU time of the process for all idle transports, in ms per second. */
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
          await clients.close();
        },
      };
    },
  };
}

module.exports = [1_000, 10_000].map(idle);
