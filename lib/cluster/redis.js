'use strict';

// A bus over a Redis client of the application: 'ioredis' or 'redis'. Redis needs a connection of its own for
// subscriptions: a duplicate of the client is made with the first one, and ends with the last one. Both packages
// subscribe again by themselves when a connection is back. What is published while there is none is lost, as is what
// the server refuses, and what comes while too much waits for its answers.

const symbols = require('../symbols');
const validate = require('../options/validate');
const { MAX_ENVELOPE } = require('./envelope');

/** How many bytes may wait for the server's answers. */
const MAX_WAITING = 16 * 1024 * 1024;

/** @import { Bus } from './types' */
/** @typedef {(subject: string, data: Buffer) => void} OnMessage */

/**
 * A connection for subscriptions.
 *
 * @typedef {object} Subscriber
 * @property {(subject: string) => Promise<unknown>} subscribe
 * @property {(subject: string) => Promise<unknown>} unsubscribe
 * @property {() => Promise<unknown>} end
 */

/**
 * @param {any} client
 * @returns {Bus}
 */
function redisBus(client) {
  if (typeof client?.publish !== 'function' || typeof client.duplicate !== 'function') {
    throw validate.wrong('client', client, 'a client of ioredis or redis');
  }

  // ioredis has `status`, redis has `isReady`.
  const isIoredis = typeof client.status === 'string';
  /** @type {Map<string, Set<(data: Uint8Array) => void>>} */
  const listeners = new Map();
  /** @type {Promise<Subscriber> | undefined} */
  let subscriber;
  /** @type {OnMessage} */
  const onMessage = (subject, data) => {
    for (const listener of listeners.get(subject) ?? []) {
      listener(data);
    }
  };
  const ready = () => (isIoredis ? client.status === 'ready' : client.isReady);
  let waiting = 0;

  return {
    // Redis takes more, but a slow subscriber is cut off at 32 MB.
    maxPayload: MAX_ENVELOPE,
    publish(subject, data) {
      const { length } = data;
      const answered = (/** @type {boolean} */ sent) => {
        waiting -= length;
        return sent;
      };

      // Nothing is queued while there is no connection: a message that is seconds late is useless.
      if (!ready() || waiting + length > MAX_WAITING) {
        return false;
      }

      const answer = client.publish(subject, Buffer.from(data));

      waiting += length;
      return answer.then(
        () => answered(true),
        () => answered(false),
      );
    },
    async subscribe(subject, listener) {
      // A function of its own, so that one listener may subscribe twice.
      const own = (/** @type {Uint8Array} */ data) => listener(data);
      const set = listeners.get(subject) ?? new Set();
      const end = async () => {
        if (!set.delete(own) || set.size > 0) {
          return;
        }

        const former = subscriber;

        listeners.delete(subject);
        if (listeners.size === 0) {
          subscriber = undefined;
          await (await former)?.end();
        } else {
          // The connection may end meanwhile, with the last subscription.
          await (await former)?.unsubscribe(subject).catch(() => {});
        }
      };

      checkConnected(client);
      listeners.set(subject, set.add(own));
      try {
        subscriber ??= isIoredis ? ofIoredis(client, onMessage) : ofRedis(client, onMessage);
        // Subscribes even if the subject has a subscription, which may not be in force yet.
        await (await subscriber).subscribe(subject);
      } catch (error) {
        await end().catch(() => {});
        throw error;
      }
      return /** @type {AsyncDisposable} */ ({ [symbols.asyncDispose]: end });
    },
  };
}

/**
 * Throws if the client will never connect by itself: all that is published would be lost.
 *
 * @param {any} client
 */
function checkConnected(client) {
  if (client.status === 'wait') {
    // ioredis with lazyConnect: connects with the first command.
    client.connect().catch(() => {});
  } else if (client.status === 'end' || client.isOpen === false) {
    throw new Error('the Redis client is not connected: call its connect() first');
  }
}

/**
 * @param {any} client
 * @param {OnMessage} onMessage
 * @returns {Promise<Subscriber>}
 */
async function ofIoredis(client, onMessage) {
  // A subscription waits for the connection for as long as it takes.
  const connection = client.duplicate({
    maxRetriesPerRequest: null,
    lazyConnect: false,
    enableOfflineQueue: true,
  });

  connection.on('error', () => {});
  connection.on('messageBuffer', (/** @type {Buffer} */ subject, /** @type {Buffer} */ data) =>
    onMessage(subject.toString(), data),
  );
  return {
    subscribe: (subject) => connection.subscribe(subject),
    unsubscribe: (subject) => connection.unsubscribe(subject),
    end: async () => connection.disconnect(),
  };
}

/**
 * @param {any} client
 * @param {OnMessage} onMessage
 * @returns {Promise<Subscriber>}
 */
async function ofRedis(client, onMessage) {
  const connection = client.duplicate({ disableOfflineQueue: false });
  // The same function for all: redis keeps a subscription once per listener.
  const listener = (/** @type {Buffer} */ data, /** @type {Buffer} */ subject) =>
    onMessage(subject.toString(), data);

  connection.on('error', () => {});
  await connection.connect();
  return {
    subscribe: (subject) => connection.subscribe(subject, listener, true),
    // Without the listener, a subscription that follows at once would end with this one.
    unsubscribe: (subject) => connection.unsubscribe(subject, listener, true),
    // redis 4 has the same method under another name.
    end: async () => (connection.destroy ?? connection.disconnect).call(connection),
  };
}

exports.redisBus = redisBus;
