'use strict';

const datasoup = require('datasoup');

async function main() {
  const worker = await datasoup.createWorker();
  const router = await worker.createRouter();
  const transport = await router.createDirectTransport();
  const dataProducer = await transport.produceData({ label: 'news' });
  const dataConsumer = await transport.consumeData({ dataProducerId: dataProducer.id });

  dataConsumer.on('message', (message, ppid) => {
    console.log(`${dataConsumer.label}: ${message} ${ppid}`);
    worker.close();
  });
  dataProducer.send('hello');
}

main();
