'use strict';

// A server process of sockets.js.

const { once } = require('node:events');
const http = require('node:http');

const { connect } = require('@nats-io/transport-node');
const { Redis } = require('ioredis');
const { WebSocketServer } = require('ws');

const { burst, paced } = require('../messages');
const { serve } = require('../processes/host');
const { installed } = require('./installed');

/** @type {(message: Buffer) => void} */
let broadcast;

/**
 * @param {http.Server} server
 * @param {number} port - of Redis.
 */
async function socketIo(server, port) {
  const { Server } = installed('socket.io');
  const { createAdapter } = installed('@socket.io/redis-adapter');
  const io = new Server(server, {
    transports: ['websocket'],
    adapter: createAdapter(new Redis({ port }), new Redis({ port })),
  });

  broadcast = (message) => io.emit('message', message);
}

/**
 * @param {http.Server} server
 * @param {number} port - of NATS.
 */
async function nats(server, port) {
  const connection = await connect({ port });
  const sockets = new WebSocketServer({ server });

  connection.subscribe('room', {
    callback: (_error, { data }) => {
      for (const socket of sockets.clients) {
        socket.send(data);
      }
    },
  });
  await connection.flush();
  // It is sent in a later macrotask.
  broadcast = (message) => connection.publish('room', Buffer.from(message));
}

serve({
  /**
   * @param {'socket.io' | 'nats'} kind
   * @param {number} port - of the bus.
   */
  async start(kind, port) {
    const server = http.createServer();

    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    await (kind === 'nats' ? nats : socketIo)(server, port);
    return /** @type {import('node:net').AddressInfo} */ (server.address()).port;
  },

  /**
   * Sends messages to the clients of all servers, at an even pace.
   *
   * @param {{ count: number, size: number, perSecond: number }} load
   */
  broadcast: (load) => paced({ ...load, send: (message) => broadcast(message) }),

  /** @param {{ from: number, to: number, size: number }} load */
  burst: (load) => burst({ ...load, send: (message) => broadcast(message) }),
});
