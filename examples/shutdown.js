'use strict';

// Ends a server without losing a message: on SIGTERM it stops sending, waits until the clients have acknowledged
// everything, gives them a second to read it, and closes. Here 50 WebRTC clients (node-datachannel) are under load, and
// the program sends the signal to itself. Browsers do not need the second.

const { setTimeout: sleep } = require('node:timers/promises');

const { createWorker } = require('datasoup');
const { cleanup } = require('node-datachannel');

const { connectClient } = require('./node-client');
const { answerOf, dtlsParametersOf } = require('./sdp');

const CLIENTS = 50;
const TICK_MS = 10;
const MESSAGES_PER_TICK = 5;
const TICKS = 50;

/**
 * Connects a client that counts what it receives. Resolves with a function that waits for its channel to close and
 * returns the count.
 */
async function connectCounter(router, dataProducerId) {
  const transport = await router.createWebRtcTransport({
    listenInfos: [{ protocol: 'udp', ip: '127.0.0.1' }],
    enableSctp: true,
  });
  const { client, channels } = await connectClient(
    async (offer) => {
      await transport.connect({ dtlsParameters: dtlsParametersOf(offer) });
      return answerOf(transport);
    },
    [{ id: 0 }],
  );
  let count = 0;
  const closed = new Promise((resolve) => channels[0].onClosed(() => resolve(undefined)));

  channels[0].onMessage(() => count++);
  await transport.consumeData({ dataProducerId, streamId: 0 });
  return async () => {
    await closed;
    client.close();
    return count;
  };
}

async function main() {
  const worker = await createWorker();
  const router = await worker.createRouter();
  const direct = await router.createDirectTransport();
  const down = await direct.produceData();
  const clients = Array.from({ length: CLIENTS }, () => connectCounter(router, down.id));
  const counters = await Promise.all(clients);
  let ticks = 0;
  let sent = 0;

  const load = setInterval(() => {
    for (let count = 0; count < MESSAGES_PER_TICK; count++) {
      down.send(`${sent++} ${'x'.repeat(1000)}`);
    }
    if (++ticks === TICKS) process.kill(process.pid, 'SIGTERM');
  }, TICK_MS);

  process.once('SIGTERM', async () => {
    clearInterval(load);
    // A client that reads nothing delays the end by 5 s at most; what it has not read is lost.
    await worker.drained({ timeout: 5000 }).catch((error) => console.error(error.message));
    // libdatachannel acknowledges a message before it is read, and discards it when the session ends before that.
    await sleep(1000);
    worker.close();

    const received = await Promise.all(counters.map((counter) => counter()));
    const lost = received.reduce((sum, count) => sum + sent - count, 0);

    console.log(`${sent} messages to each of ${CLIENTS} clients, lost: ${lost}`);
    cleanup();
  });
}

main();
