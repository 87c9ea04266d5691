// An ES module gets the same names and types as contract.ts, which is a CommonJS module.

import { createWorker, errors, extras, observer, version } from '../../index.mjs';
import type { DataProducer, types } from '../../index.mjs';

export async function namesAreExported(): Promise<types.DataProducer<{ a: number }>> {
  const worker: types.Worker = await createWorker();
  observer.on('newworker', (each) => each.close());
  const router = await worker.createRouter();
  const transport = await router.createDirectTransport();
  const dataProducer: DataProducer<{ a: number }> = await transport.produceData({
    appData: { a: 1 },
  });
  await extras.enhancedOnce(worker, 'subprocessclose');
  if (version === '') {
    throw new errors.UnsupportedError('no version');
  }
  return dataProducer;
}
