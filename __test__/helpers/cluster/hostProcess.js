'use strict';

// A host in a process of its own, for processes.test.ts: announces a DataProducer, and sends on request.
// Arguments: the package of the client, the port of the bus, the name of the host, the lease.

const { createWorker } = require('../../..');
const { createCluster } = require('../../../subpaths/cluster');
const { CLIENTS } = require('./clients');

async function main() {
  const [client, port, host, lease] = process.argv.slice(2);
  const { bus, end } = await CLIENTS[client](Number(port));
  const cluster = await createCluster({
    bus,
    host,
    secret: 'a secret that both processes know, as they should',
    listenInfo: { protocol: 'udp', ip: '127.0.0.1' },
    lease: Number(lease),
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
