'use strict';

// What is done in a process of its own, so that it inherits no heap, compiled code or threads.

const { fork } = require('node:child_process');

/**
 * Has a process do something, and tell the result in one message.
 *
 * @param {string} file - its program: it gets `order` as a message.
 * @param {object} order
 * @param {number} ms - how long it may take, before it is killed.
 * @returns {Promise<any>}
 */
function doInProcess(file, order, ms) {
  return new Promise((resolve) => {
    const child = fork(file, [], {
      execArgv: ['--expose-gc', ...process.execArgv],
      serialization: 'advanced',
    });
    const timer = setTimeout(() => child.kill('SIGKILL'), ms);
    /** @type {any} */
    let result = { error: 'its process has ended without a result' };

    child.on('message', (message) => (result = message));
    child.on('exit', () => {
      clearTimeout(timer);
      resolve(result);
    });
    child.send(order);
  });
}

exports.doInProcess = doInProcess;
