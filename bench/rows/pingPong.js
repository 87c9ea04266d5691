'use strict';

// One message at a time over two direct DataProducers: JavaScript → worker → JavaScript → worker → JavaScript.

const { performance } = require('node:perf_hooks');

const { threadPingPong } = require('../references/inProcess');

const COUNT = 20_000;
const SIZE = 100;

/** @type {import('../types').Row} */
const pingPong = {
  name: 'ping-pong',
  title: 'ping-pong over two direct DataProducers, 100 B',
  unit: 'round trip',
  mark: { p50: 25, p99: 60 },
  async prepare({ api, scale }) {
    const worker = await api.createWorker();
    const router = await worker.createRouter();
    const here = await router.createDirectTransport();
    const there = await router.createDirectTransport();
    const ping = await here.produceData();
    const pong = await there.produceData();
    const atThere = await there.consumeData({ dataProducerId: ping.id });
    const atHere = await here.consumeData({ dataProducerId: pong.id });
    const count = scale(COUNT);
    const message = Buffer.alloc(SIZE, 'x');

    atThere.on('message', (/** @type {Buffer} */ received) => pong.send(received));

    return {
      workers: [worker],
      run: () =>
        new Promise((resolve) => {
          /** @type {number[]} */
          const latencies = [];
          let begin = performance.now();

          function onMessage() {
            const now = performance.now();

            latencies.push((now - begin) * 1_000);
            if (latencies.length === count) {
              atHere.off('message', onMessage);
              resolve({ items: count, latencies });
            } else {
              begin = now;
              ping.send(message);
            }
          }

          atHere.on('message', onMessage);
          ping.send(message);
        }),
      reference: {
        name: 'worker_threads, twice there and back',
        ...threadPingPong({ count, size: SIZE, trips: 2 }),
      },
      close: () => worker.close(),
    };
  },
};

module.exports = [pingPong];
