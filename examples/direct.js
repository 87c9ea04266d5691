'use strict';

// DirectTransport: the application itself produces and consumes. Subchannels select the consumers of a message.

const { createWorker } = require('datasoup');

const NEWS = 1;
const SPORTS = 2;

async function main() {
  const worker = await createWorker();
  const router = await worker.createRouter();
  const transport = await router.createDirectTransport();
  const dataProducer = await transport.produceData({ label: 'broadcast' });

  // A message without subchannels goes to all consumers; with subchannels, to those that subscribed to one of them.
  await listen('no subscriptions', []);
  await listen('news', [NEWS]);
  await listen('news and sports', [NEWS, SPORTS]);

  dataProducer.send('for all');
  dataProducer.send('the election', undefined, [NEWS]);
  dataProducer.send('the match', undefined, [SPORTS]);
  dataProducer.send(Buffer.from([1, 2, 3]));

  /** Consumes the broadcast, with subscriptions. */
  async function listen(name, subchannels) {
    const dataConsumer = await transport.consumeData({
      dataProducerId: dataProducer.id,
      subchannels,
    });

    dataConsumer.on('message', async (message, ppid) => {
      // 51 is a string, 53 is binary.
      const text = ppid === 51 ? message.toString() : `${message.length} bytes`;

      console.log(`${name}: ${text}`);
      // Each message reaches the consumers in the order of their creation, so this is the last delivery of all.
      if (ppid !== 51 && name === 'news and sports') {
        const [{ messagesReceived, bytesReceived }] = await dataProducer.getStats();

        console.log(`sent ${messagesReceived} messages, ${bytesReceived} bytes`);
        worker.close();
      }
    });
  }
}

main();
