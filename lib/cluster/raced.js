'use strict';

// What waits for a promise, or for a signal.

/**
 * Settles as a promise does, or rejects with the reason of a signal that aborts first.
 *
 * @template T
 * @param {Promise<T>} promise
 * @param {AbortSignal | undefined} signal
 * @returns {Promise<T>}
 */
async function raced(promise, signal) {
  if (!signal) {
    return promise;
  }

  /** @type {() => void} */
  let onAbort = () => {};
  const aborted = new Promise((_, reject) => {
    onAbort = () => reject(signal.reason);
    signal.addEventListener('abort', onAbort);
  });

  try {
    return /** @type {T} */ (await Promise.race([promise, aborted]));
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}

exports.raced = raced;
