'use strict';

// The message bus: the one that NATS_URL or REDIS_URL names, or a server that is started here.

const { spawn } = require('node:child_process');
const { once } = require('node:events');
const net = require('node:net');

const { connect } = require('@nats-io/transport-node');
const { Redis } = require('ioredis');
const { natsBus } = require('../../subpaths/cluster/nats');
const { redisBus } = require('../../subpaths/cluster/redis');

const SERVERS = [
  { command: 'nats-server', scheme: 'nats', args: (port) => ['-a', '127.0.0.1', '-p', port] },
  {
    command: 'redis-server',
    scheme: 'redis',
    args: (port) => ['--bind', '127.0.0.1', '--port', port, '--save', '', '--appendonly', 'no'],
  },
];
const NONE =
  'no message bus. Install nats-server or redis-server (Debian, Ubuntu: apt-get install nats-server), ' +
  'or name one that runs: NATS_URL=nats://localhost:4222 or REDIS_URL=redis://localhost:6379';

/** For the process that starts the hosts: `{ name, url, stop() }`. */
async function findBus(env) {
  const url = env.NATS_URL || env.REDIS_URL;
  if (url) return { name: url, url, stop() {} };

  for (const { command, scheme, args } of SERVERS) {
    const port = await freePort();
    // Debian has nats-server in a folder that is not in the PATH of all users.
    const server = spawn(command, args(`${port}`), {
      env: { ...env, PATH: `${env.PATH}:/usr/sbin` },
      stdio: 'ignore',
      // Ctrl+C is for this process: the hosts still need the bus to leave.
      detached: true,
    });
    process.once('exit', () => server.kill());
    if (await listens(server, port)) {
      return { name: command, url: `${scheme}://127.0.0.1:${port}`, stop: () => server.kill() };
    }
  }

  throw new Error(NONE);
}

/** For a host: `{ bus, close() }`. Both connect again for as long as it takes. */
async function connectBus(url) {
  if (url.startsWith('redis')) {
    const client = new Redis(url, { maxRetriesPerRequest: null });
    // Lost connections are made again. datasoup says when the bus is down.
    client.on('error', () => {});
    await client.ping();

    return { bus: redisBus(client), close: async () => client.disconnect() };
  }

  const connection = await connect({ servers: url, maxReconnectAttempts: -1 });

  return { bus: natsBus(connection), close: () => connection.close() };
}

/** Whether a server that was started listens: false if it is not installed, or has ended. */
async function listens(server, port) {
  let ended = false;
  server.on('error', () => (ended = true));
  server.on('exit', () => (ended = true));

  while (!ended) {
    const socket = net.connect(port, '127.0.0.1');
    const open = await once(socket, 'connect').then(
      () => true,
      () => false,
    );
    socket.destroy();
    if (open) return true;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }

  return false;
}

async function freePort() {
  const server = net.createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = /** @type {net.AddressInfo} */ (server.address());
  server.close();
  await once(server, 'close');

  return port;
}

module.exports = { connectBus, findBus };
