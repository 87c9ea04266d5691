'use strict';

// Calls a function when an entity closes. Can be cancelled, and then leaves no trace.

/** @typedef {import('../Core').Core<any>} Core */

/** @type {WeakMap<Core, Set<() => void>>} */
const calls = new WeakMap();

/**
 * Calls a function once an entity is closed, as `core.onClosed()` does, but can be cancelled: Routers and DataProducers
 * outlive many rooms.
 *
 * @param {Core} core
 * @param {() => void} call
 * @returns {() => void} cancels it.
 */
function whenClosed(core, call) {
  const waiting = callsOf(core);
  const own = () => call();

  waiting.add(own);
  return () => waiting.delete(own);
}

/**
 * A separate function, so that the closure that `core` keeps does not hold on to the first `call`.
 *
 * @param {Core} core
 * @returns {Set<() => void>}
 */
function callsOf(core) {
  let set = calls.get(core);

  if (!set) {
    const own = new Set();

    set = own;
    calls.set(core, own);
    core.onClosed(() => own.forEach((each) => each()));
  }
  return set;
}

exports.whenClosed = whenClosed;
