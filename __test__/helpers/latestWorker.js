'use strict';

// Gives out the native side of Workers, which lib/ does not, so that one can be made to panic.

/**
 * A method of the addon that lib/ does not expose.
 *
 * @typedef {{ panicForTests(): void }} NativeWorker
 */

if (require.cache[require.resolve('../../index.js')]) {
  throw new Error('load helpers/latestWorker before the package, whose native side it wraps');
}

const native = /** @type {any} */ (require('../../lib/native'));

/** @type {NativeWorker | undefined} */
let latest;

native.Worker = new Proxy(native.Worker, {
  construct(target, args) {
    const worker = new target(...args);

    latest = worker;
    return worker;
  },
});

/** The Worker that was created last. */
exports.latestWorker = () => latest;
