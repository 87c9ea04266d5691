'use strict';

const { fork } = require('node:child_process');
const { once } = require('node:events');

/**
 * Runs a program in a new process, so that it inherits no heap, compiled code or threads. The program gets one message
 * and answers with one.
 *
 * @param {string} file - the program.
 * @param {object} order - the message to it.
 * @param {number} ms - after this time the process is killed.
 * @returns {Promise<any>} the answer, or `{ error }`.
 */
function runInProcess(file, order, ms) {
  return new Promise((resolve) => {
    const child = fork(file, [], {
      execArgv: ['--expose-gc', ...process.execArgv],
      serialization: 'advanced',
    });
    const timer = setTimeout(() => child.kill('SIGKILL'), ms);
    /** @type {any} */
    let result;

    child.on('message', (message) => (result = message));
    // On a busy machine 'exit' comes before the last message, and 'disconnect' after it.
    Promise.all([once(child, 'exit'), once(child, 'disconnect')]).then(([[code, signal]]) => {
      clearTimeout(timer);
      resolve(result ?? { error: `the process exited without a result: ${signal ?? code}` });
    });
    child.send(order);
  });
}

/**
 * The other side: runs `work` with the message, sends its result and exits.
 *
 * @param {(order: any) => Promise<object>} work
 */
function answerOnce(work) {
  process.once('message', async (order) => {
    let result;

    try {
      result = await work(order);
    } catch (error) {
      result = { error: error instanceof Error ? error.stack : String(error) };
    }
    process.send?.(result, () => process.exit());
  });
}

exports.answerOnce = answerOnce;
exports.runInProcess = runInProcess;
