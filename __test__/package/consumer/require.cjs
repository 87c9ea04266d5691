'use strict';

const datasoup = require('datasoup');

/** @type {(one: any, other: any) => boolean} */
const sameKeys = (one, other) => Object.keys(one).every((key) => one[key] === other[key]);

if (
  !sameKeys(datasoup.errors, require('datasoup/errors')) ||
  !sameKeys(datasoup.extras, require('datasoup/extras')) ||
  Object.keys(require('datasoup/types')).length > 0
) {
  throw new Error('a subpath differs');
}

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
