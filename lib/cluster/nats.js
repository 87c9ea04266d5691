'use strict';

// A bus over a NATS connection of the application: '@nats-io/transport-node' 3 or 'nats' 2, which have the same
// methods. The client keeps what is published between two attempts to reconnect, and subscribes again by itself.

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
  if (typeof connection?.publish !== 'function' || typeof connection.flush !== 'function') {
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
  return {
    maxPayload: connection.info?.max_payload ?? MAX_ENVELOPE,
    publish(subject, data) {
      // What is published after the end is lost, as with any link that is down.
      if (!connection.isClosed() && !connection.isDraining()) {
        connection.publish(subject, data);
      }
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
