'use strict';

// PipeTransports between two processes, which could be on two hosts. They exchange addresses and ids over a channel of
// their own: here, the IPC of child_process.fork().

const { fork } = require('node:child_process');
const { once } = require('node:events');

const { createWorker } = require('datasoup');

/** One end: a worker with a router, and a PipeTransport with its address. */
async function createEnd() {
  const worker = await createWorker();
  const router = await worker.createRouter();
  const directTransport = await router.createDirectTransport();
  const pipeTransport = await router.createPipeTransport({
    listenInfo: { protocol: 'udp', ip: '127.0.0.1' },
    enableSctp: true,
  });
  const { localAddress: ip, localPort: port } = pipeTransport.tuple;

  return { worker, directTransport, pipeTransport, address: { ip, port } };
}

/** The parent pipes a DataProducer to the child… */
async function produce() {
  const { worker, directTransport, pipeTransport, address } = await createEnd();
  const dataProducer = await directTransport.produceData({ label: 'chat' });
  const { id, label } = dataProducer;
  const { sctpStreamParameters } = await pipeTransport.consumeData({ dataProducerId: id });
  const child = fork(__filename, ['consume']);

  child.send({ address, options: { id, label, sctpStreamParameters } });
  await pipeTransport.connect((await once(child, 'message'))[0]);
  dataProducer.send('hello from another process');
  await once(child, 'exit');
  worker.close();
}

/** …which consumes it under the same id. */
async function consume({ address, options }) {
  const { worker, directTransport, pipeTransport, address: own } = await createEnd();
  const { id } = await pipeTransport.produceData(options);
  const dataConsumer = await directTransport.consumeData({ dataProducerId: id });

  dataConsumer.on('message', (message) => {
    console.log(`in process 2, '${dataConsumer.label}': ${message}`);
    worker.close();
    process.disconnect();
  });
  await pipeTransport.connect(address);
  process.send(own);
}

if (process.argv[2] === 'consume') {
  process.once('message', consume);
} else {
  produce();
}
