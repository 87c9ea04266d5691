'use strict';

// A process with a Worker whose DataProducer has a full queue, for the end of the Worker, the process or a thread of it
// (busy.js).

const { once } = require('node:events');
const { Worker: Thread, isMainThread, parentPort, workerData } = require('node:worker_threads');

const { IMPL } = require('../../bench/implementation');
const { serve } = require('../../bench/processes/host');
const { MILLION, Scene, fill } = require('../busy');

/** @typedef {{ consumers: number, by: 'worker' | 'process' | 'thread' }} Options */

/** @param {Options} options */
async function full({ consumers }) {
  const scene = await Scene.create(require(IMPL));
  const { producer } = await scene.produce(consumers, MILLION);

  fill(producer);

  // Each message is a byte.
  const filled = { port: scene.probed.iceCandidates[0].port, queued: producer.bufferedAmount };

  return { scene, filled };
}

/** @type {() => unknown} */
let end;

/** What `Host` calls. */
const methods = {
  /** @param {Options} options */
  async fill(options) {
    if (options.by === 'thread') {
      const thread = new Thread(__filename, { workerData: options });
      const [filled] = await once(thread, 'message');

      end = () => thread.terminate();
      return filled;
    }

    const { scene, filled } = await full(options);

    end = async () => {
      if (options.by === 'process') {
        process.exit();
      }
      scene.worker.close();
      await once(scene.worker, 'subprocessclose');
    };
    return filled;
  },

  end: () => end(),
};

if (isMainThread) {
  serve(methods);
} else {
  full(workerData).then(({ filled }) => parentPort?.postMessage(filled));
}
