'use strict';

const { performance } = require('node:perf_hooks');
const { setTimeout: sleep } = require('node:timers/promises');

/**
 * Waits for a condition.
 *
 * @param {() => unknown} condition
 * @param {object} [options] - in milliseconds.
 * @param {number} [options.every]
 * @param {number} [options.patience] - how long it waits at most.
 */
async function until(condition, { every = 1, patience = Infinity } = {}) {
  const end = performance.now() + patience;

  while (!(await condition()) && performance.now() < end) {
    await sleep(every);
  }
}

exports.until = until;
