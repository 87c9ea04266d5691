'use strict';

// pipeToRouter(): a DataProducer of one worker is consumed on another, so that one room can use several cores. The
// first call creates the pair of PipeTransports; they close with the routers.

const { createWorker } = require('datasoup');

async function main() {
  const [worker1, worker2] = await Promise.all([createWorker(), createWorker()]);
  const [router1, router2] = await Promise.all([worker1.createRouter(), worker2.createRouter()]);
  const transport1 = await router1.createDirectTransport();
  const transport2 = await router2.createDirectTransport();
  const dataProducer = await transport1.produceData({ label: 'chat' });

  const { pipeDataConsumer, pipeDataProducer } = await router1.pipeToRouter({
    dataProducerId: dataProducer.id,
    router: router2,
    // Nothing is lost on the way between the workers. Without it, what meets a full queue is dropped.
    overflow: 'block',
  });

  console.log(`same id on worker 2: ${pipeDataProducer.id === dataProducer.id}`);

  const dataConsumer = await transport2.consumeData({
    dataProducerId: dataProducer.id,
    subchannels: [7],
  });

  dataConsumer.on('message', async (message) => {
    console.log(`in worker 2, '${dataConsumer.label}': ${message}`);
    if (String(message) === 'the last one') {
      const [{ messagesSent }] = await pipeDataConsumer.getStats();

      console.log(`${messagesSent} messages crossed the pipe`);
      dataProducer.close();
    }
  });
  // Closing the DataProducer closes its counterpart on the other worker.
  dataConsumer.on('dataproducerclose', () => {
    console.log('the DataProducer is closed');
    worker1.close();
    worker2.close();
  });

  dataProducer.send('for all');
  dataProducer.send('for subchannel 8 only', undefined, [8]);
  dataProducer.send('for subchannel 7 only', undefined, [7]);
  dataProducer.send('the last one');
}

main();
