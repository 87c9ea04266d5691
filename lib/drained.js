'use strict';

const { clearTimeout, setTimeout } = require('node:timers');

const { resultOf } = require('./Channel');
const { parseDrainedOptions } = require('./options/drained');

/**
 * Does the work of `drained()` of an object of any kind.
 *
 * @param {import('./Core').Core<{ drained: (requestId: number) => void }>} core
 * @param {string} method
 * @param {import('..').DrainedOptions} [options]
 * @returns {Promise<void>}
 */
async function drained(core, method, options) {
  const { signal, timeout } = parseDrainedOptions(options);

  core.check(method);
  if (signal?.aborted) {
    throw signal.reason;
  }
  core.debug(`${method}()`);

  const { channel } = core;
  const { handle, answer } = channel.post(method, (requestId) => core.native.drained(requestId));
  const interruption = interrupted(signal, timeout);
  let answered = false;

  try {
    const result = await Promise.race([answer, interruption.promise]);

    answered = true;
    resultOf(result);
    // The answer may have been on its way when the object was closed.
    core.check(method);
  } finally {
    interruption.clear();
    if (!answered && !channel.closed) {
      channel.native.cancelDrained(handle);
      channel.flushSoon();
    }
  }
}

/**
 * @param {AbortSignal} [signal]
 * @param {number} [timeout] - in milliseconds.
 * @returns {{ promise: Promise<never>, clear: () => void }} `promise` rejects when the signal is aborted or the time is
 * over; `clear` releases the listener and the timer.
 */
function interrupted(signal, timeout) {
  /** @type {() => void} */
  let clear = () => {};
  /** @type {Promise<never>} */
  const promise = new Promise((_resolve, reject) => {
    const onAbort = () => reject(signal?.reason);
    const timer =
      timeout === undefined ? undefined : setTimeout(() => reject(timedOut(timeout)), timeout);

    signal?.addEventListener('abort', onAbort, { once: true });
    clear = () => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', onAbort);
    };
  });

  return { promise, clear };
}

/**
 * The same kind of error as that of `AbortSignal.timeout()`, so that one check of `name` finds both.
 *
 * @param {number} timeout
 */
function timedOut(timeout) {
  return new DOMException(`not drained within ${timeout} ms`, 'TimeoutError');
}

exports.drained = drained;
