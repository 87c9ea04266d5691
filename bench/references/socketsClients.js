'use strict';

// A process of clients of sockets.js.

const { once } = require('node:events');

const { WebSocket } = require('ws');

const { Receiver, allReceived, sinceStamp } = require('../messages');
const { serve } = require('../processes/host');
const { installed } = require('./installed');

/** @type {Receiver[]} */
let receivers = [];
/** @type {number[]} */
let latencies = [];

/** @param {number} port */
async function socketIo(port) {
  const socket = installed('socket.io-client').io(`http://127.0.0.1:${port}`, {
    transports: ['websocket'],
    forceNew: true,
  });

  await once(socket, 'connect');
  return new Receiver((listener) => socket.on('message', listener));
}

/** @param {number} port */
async function webSocket(port) {
  const socket = new WebSocket(`ws://127.0.0.1:${port}`);

  await once(socket, 'open');
  return new Receiver((listener) =>
    socket.on('message', (data) => listener(/** @type {Buffer} */ (data))),
  );
}

serve({
  /**
   * @param {'socket.io' | 'nats'} kind
   * @param {number} port
   * @param {number} count
   */
  async connect(kind, port, count) {
    for (let index = 0; index < count; index += 1) {
      receivers.push(await (kind === 'nats' ? webSocket : socketIo)(port));
    }
  },

  /** @param {boolean} measures - latencies. */
  ready(measures) {
    latencies = [];
    receivers.forEach((receiver) =>
      receiver.reset(measures ? (message) => latencies.push(sinceStamp(message)) : undefined),
    );
  },

  /** @param {number} count */
  received: (count) => allReceived(receivers, count),

  latencies: () => latencies,
});
