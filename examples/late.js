'use strict';

// Nothing lost at the start: latecomers get the last messages, and messages wait until a receiver is ready.

const { createWorker } = require('datasoup');

async function main() {
  const worker = await createWorker();
  const router = await worker.createRouter();
  const transport = await router.createDirectTransport();
  const dataProducer = await transport.produceData({ label: 'chat', retain: { messages: 2 } });

  for (const text of ['one', 'two', 'three']) {
    dataProducer.send(text);
  }

  // This DataConsumer first gets the last two messages, then live ones.
  await listen('late');

  // This DataConsumer also gets the messages that come before it is ready.
  const notReady = await listen('not ready', { paused: true, whilePaused: 'hold' });

  dataProducer.send('four');
  dataProducer.send('five');
  await dataProducer.getStats();
  console.log('ready');
  await notReady.resume();
  dataProducer.send('six');
  await dataProducer.drained();

  // From here on, latecomers get no earlier messages.
  await dataProducer.clearRetained();
  await listen('last');
  dataProducer.send('seven');
  await dataProducer.drained();
  worker.close();

  /** Prints what a new DataConsumer gets. */
  async function listen(name, options) {
    const dataConsumer = await transport.consumeData({
      dataProducerId: dataProducer.id,
      ...options,
    });

    return dataConsumer.on('message', (message) => console.log(`${name}: ${message}`));
  }
}

main();
