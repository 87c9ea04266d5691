'use strict';

// A bus within one process, for tests and for rooms over the Workers of one process.

const symbols = require('../symbols');
const { MAX_ENVELOPE } = require('./envelope');

/** @import { Bus } from './types' */

/**
 * All that share the bus hear each other.
 *
 * @returns {Bus}
 */
function memoryBus() {
  /** @type {Map<string, Set<(data: Uint8Array) => void>>} */
  const listeners = new Map();

  return {
    maxPayload: MAX_ENVELOPE,
    publish(subject, data) {
      const copy = Uint8Array.from(data);

      queueMicrotask(() => {
        for (const listener of listeners.get(subject) ?? []) {
          listener(copy);
        }
      });
    },
    async subscribe(subject, listener) {
      // A function of its own, so that one listener may subscribe twice.
      const own = (/** @type {Uint8Array} */ data) => listener(data);
      const set = listeners.get(subject) ?? new Set();

      listeners.set(subject, set.add(own));
      return /** @type {AsyncDisposable} */ ({
        async [symbols.asyncDispose]() {
          set.delete(own);
          if (set.size === 0 && listeners.get(subject) === set) {
            listeners.delete(subject);
          }
        },
      });
    },
  };
}

exports.memoryBus = memoryBus;
