'use strict';

// `limit`: what a DataProducer may receive. What exceeds it is dropped and counted, until setLimit() with the action
// 'close' ends it. A `limit` of a transport is that of a client, for all of its DataProducers.

const { createWorker } = require('datasoup');

async function main() {
  const worker = await createWorker();
  const router = await worker.createRouter();
  const transport = await router.createDirectTransport();
  // A message passes while there is something left of the limit, and may take more than that: 15 bytes are for 15 s.
  const limit = { bytesPerSecond: 1 };
  const dataProducer = await transport.produceData({ limit });
  const dataConsumer = await transport.consumeData({ dataProducerId: dataProducer.id });

  const all = print(dataConsumer.readable());
  let dropped = 0;

  dataProducer.on('limit', ({ messages }) => (dropped += messages));
  dataProducer.on('close', () => console.log(`closed after ${dropped} messages over the limit`));

  for (const text of ['fifteen letters', 'too much', 'too much']) {
    dataProducer.send(text);
  }
  await dataProducer.drained();
  await dataProducer.setLimit({ ...limit, action: 'close' });
  for (const text of ['too much', 'too late']) {
    dataProducer.send(text);
  }
  await all;
  worker.close();
}

/** The stream takes no more messages than are read, and ends when the DataConsumer closes. */
async function print(stream) {
  for await (const { message } of stream) {
    console.log(`delivered: ${message}`);
  }
}

main();
