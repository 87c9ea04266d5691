'use strict';

// A bus over a NATS connection of the application: '@nats-io/transport-node' 3 or 'nats' 2, which have the same
// methods. The client subscribes again by itself when it has reconnected. It throws away what it got before its last
// attempt, so what is published while it is away counts as lost, and is not passed on.

const symbols = require('../symbols');
const validate = require('../options/validate');
const { MAX_ENVELOPE } = require('./envelope');

/** How long to wait before the server is asked again whether a subscription is in force, in milliseconds. */
const AGAIN = 100;

/** @import { Bus } from './types' */

/**
 * @param {any} connection
 * @returns {Bus}
 */
function natsBus(connection) {
  if (!['publish', 'flush', 'status'].every((name) => typeof connection?.[name] === 'function')) {
    throw validate.wrong(
      'connection',
      connection,
      'a connection of @nats-io/transport-node or nats',
    );
  }
  if (connection.options?.noEcho || connection.protocol?.options?.noEcho) {
    throw new TypeError(
      'connection must be made without noEcho: a host has to hear its own messages to know that its link works (got noEcho: true)',
    );
  }

  const isAway = watch(connection);

  return {
    maxPayload: connection.info?.max_payload ?? MAX_ENVELOPE,
    publish(subject, data) {
      if (isAway() || connection.isClosed() || connection.isDraining()) {
        return false;
      }
      connection.publish(subject, data);
      return true;
    },
    async subscribe(subject, listener) {
      /** @type {Error | undefined} */
      let refused;
      const subscription = connection.subscribe(subject, {
        callback: (/** @type {Error | null} */ error, /** @type {any} */ message) => {
          if (error) {
            // From the server: the user may not subscribe to the subject.
            refused = error;
          } else {
            listener(message.data);
          }
        },
      });

      await inForce(connection);
      if (refused) {
        throw refused;
      }
      return /** @type {AsyncDisposable} */ ({
        async [symbols.asyncDispose]() {
          subscription.unsubscribe();
        },
      });
    },
  };
}

/**
 * @param {any} connection
 * @returns {() => boolean} whether it has lost the server, and has not reconnected yet.
 */
function watch(connection) {
  let away = false;

  void (async () => {
    for await (const { type } of connection.status()) {
      if (type === 'disconnect' || type === 'reconnect') {
        away = type === 'disconnect';
      }
    }
  })();
  return () => away;
}

/**
 * Resolves once the server has handled what was sent before, also if the connection is lost meanwhile.
 *
 * @param {any} connection
 */
async function inForce(connection) {
  for (;;) {
    try {
      await connection.flush();
      return;
    } catch (error) {
      if (connection.isClosed()) {
        throw error;
      }
      await new Promise((resolve) => setTimeout(resolve, AGAIN));
    }
  }
}

exports.natsBus = natsBus;
