'use strict';

// A host in a process of its own, for processes.test.ts: announces a DataProducer, and sends on request.
// Arguments: the kind of the bus, its port, the name of the host.

const { connect } = require('@nats-io/transport-node');
const { Redis } = require('ioredis');

const { createWorker } = require('../../..');
const { createCluster } = require('../../../subpaths/cluster');
const { natsBus } = require('../../../subpaths/cluster/nats');
const { redisBus } = require('../../../subpaths/cluster/redis');

/** @param {number} port */
async function overNats(port) {
  const connection = await connect({ port, reconnectTimeWait: 50, maxReconnectAttempts: -1 });

  return { bus: natsBus(connection), end: () => connection.close() };
}

/** @param {number} port */
async function overRedis(port) {
  const client = new Redis({ port, retryStrategy: () => 50 });

  client.on('error', () => {});
  await client.ping();
  return { bus: redisBus(client), end: async () => client.disconnect() };
}

async function main() {
  const [kind, port, host] = process.argv.slice(2);
  const { bus, end } = await (kind === 'nats' ? overNats(Number(port)) : overRedis(Number(port)));
  const cluster = await createCluster({
    bus,
    host,
    secret: 'a secret that both processes know, as they should',
    listenInfo: { protocol: 'udp', ip: '127.0.0.1' },
    lease: 2000,
  });
  const worker = await createWorker();
  const router = await worker.createRouter();
  const transport = await router.createDirectTransport();
  const room = await cluster.join('r', { router });
  const dataProducer = await transport.produceData();
  let sent = 0;

  room.announce(dataProducer, { host });
  process.on('message', async ({ send, leave }) => {
    for (let count = 0; count < send; count += 1) {
      sent += 1;
      dataProducer.send(`${sent}`);
    }
    if (leave) {
      await cluster.close();
      worker.close();
      await end();
      process.disconnect();
    }
  });
  process.send?.({ id: dataProducer.id });
}

main();
