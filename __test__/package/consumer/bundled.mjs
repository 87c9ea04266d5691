// As an application imports it: a bundler makes copies of what import.mjs compares.

import { createWorker } from 'datasoup';
import { enhancedOnce } from 'datasoup/extras';

const worker = await createWorker();
const router = await worker.createRouter();
const transport = await router.createDirectTransport();
const dataProducer = await transport.produceData({ label: 'news' });
const dataConsumer = await transport.consumeData({ dataProducerId: dataProducer.id });
const received = enhancedOnce(dataConsumer, 'message');

dataProducer.send('hello');

const [message, ppid] = await received;

worker.close();
console.log(`${dataConsumer.label}: ${message} ${ppid}`);
