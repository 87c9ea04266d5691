'use strict';

// Calls the bus of an application, which may be late, throw, and reject.

const symbols = require('../symbols');

/** @import { Bus } from './types' */

/**
 * Publishes a message.
 *
 * @param {Bus} bus
 * @param {string} subject
 * @param {Uint8Array} data
 * @param {(sent: boolean) => void} done - at once, or when the bus knows.
 */
function publish(bus, subject, data, done) {
  /** @type {any} */
  let sent;

  try {
    sent = bus.publish(subject, data);
  } catch {
    // The bus may have moved to a server that takes only shorter messages.
    sent = false;
  }
  if (typeof sent?.then === 'function') {
    sent.then(
      (/** @type {unknown} */ result) => done(result !== false),
      () => done(false),
    );
  } else {
    done(sent !== false);
  }
}

/**
 * Ends a subscription. A bus whose link is down does that when the link is back.
 *
 * @param {AsyncDisposable | undefined} subscription
 */
async function unsubscribe(subscription) {
  try {
    await subscription?.[symbols.asyncDispose]?.();
  } catch {
    // Its listener is not called any more, whatever the bus does.
  }
}

exports.publish = publish;
exports.unsubscribe = unsubscribe;
