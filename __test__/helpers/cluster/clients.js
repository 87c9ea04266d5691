'use strict';

// A bus over each client, for processes.test.ts and the processes that it starts.

const { connect } = require('@nats-io/transport-node');
const { Redis } = require('ioredis');
const { createClient } = require('redis');

const { natsBus } = require('../../../subpaths/cluster/nats');
const { redisBus } = require('../../../subpaths/cluster/redis');

/** @typedef {{ bus: import('../../../subpaths/cluster').Bus, end: () => unknown }} Client */

/** By the name of the package. @type {Record<string, (port: number) => Promise<Client>>} */
const CLIENTS = {
  '@nats-io/transport-node': async (port) => {
    const connection = await connect({ port, reconnectTimeWait: 50, maxReconnectAttempts: -1 });

    return { bus: natsBus(connection), end: () => connection.close() };
  },
  ioredis: async (port) => {
    const client = new Redis({ port, retryStrategy: () => 50 });

    client.on('error', () => {});
    await client.ping();
    return { bus: redisBus(client), end: () => client.disconnect() };
  },
  redis: async (port) => {
    const client = createClient({
      socket: { host: '127.0.0.1', port, reconnectStrategy: () => 50 },
    });

    client.on('error', () => {});
    await client.connect();
    return { bus: redisBus(client), end: () => client.destroy() };
  },
};

exports.CLIENTS = CLIENTS;
