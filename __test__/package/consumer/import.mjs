import { createRequire } from 'node:module';

import datasoup, { createWorker, errors, extras, version } from 'datasoup';
import * as all from 'datasoup';
import { NotFoundError, UnsupportedError, WorkerClosedError } from 'datasoup/errors';
import { EnhancedEventEmitter, enhancedOnce } from 'datasoup/extras';
import { openTelemetry, prometheus } from 'datasoup/metrics';
import * as types from 'datasoup/types';

const required = createRequire(import.meta.url)('datasoup');

// import and require() must give the same module, with all of its names.
if (datasoup !== required) {
  throw new Error('the default export is not what require() gives');
}
for (const [name, value] of Object.entries(required)) {
  if (Reflect.get(all, name) !== value) {
    throw new Error(`'${name}' is not what require() gives`);
  }
}

const subpaths = [
  [errors, { NotFoundError, UnsupportedError, WorkerClosedError }],
  [extras, { EnhancedEventEmitter, enhancedOnce }],
];
for (const [whole, names] of subpaths) {
  if (Object.entries(whole).some(([name, value]) => Reflect.get(names, name) !== value)) {
    throw new Error(`a subpath lacks a name of ${Object.keys(whole)}`);
  }
}
for (const call of [prometheus, openTelemetry]) {
  let message;

  try {
    call();
  } catch (error) {
    message = String(error);
  }
  if (!/cannot be loaded: npm install/.test(`${message}`)) {
    throw new Error(`datasoup/metrics without its peer dependencies: ${message}`);
  }
}
if (Object.keys(types.default).length > 0) {
  throw new Error('datasoup/types has values');
}

const worker = await createWorker();
const router = await worker.createRouter();
const transport = await router.createDirectTransport();
const dataProducer = await transport.produceData({ label: 'news' });
const dataConsumer = await transport.consumeData({ dataProducerId: dataProducer.id });
const received = extras.enhancedOnce(dataConsumer, 'message');

dataProducer.send('hello');

const [message, ppid] = await received;

worker.close();
await worker.createRouter().catch((error) => {
  if (!(error instanceof errors.WorkerClosedError) || version !== required.version) {
    throw error;
  }
});
console.log(`${dataConsumer.label}: ${message} ${ppid}`);
