'use strict';

/**
 * Makes the library log a warning: send() of a closed DataProducer.
 *
 * @param {typeof import('../..')} datasoup
 */
async function causeWarning(datasoup) {
  const worker = await datasoup.createWorker();
  const router = await worker.createRouter();
  const transport = await router.createDirectTransport();
  const dataProducer = await transport.produceData();

  dataProducer.close();
  dataProducer.send('too late');
  worker.close();
}

module.exports = { causeWarning };
