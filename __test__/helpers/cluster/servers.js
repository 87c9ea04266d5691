'use strict';

const { spawn } = require('node:child_process');
const { once } = require('node:events');
const { createServer } = require('node:net');

/**
 * @typedef {object} Place - where a server runs, if not on a free port of the loopback interface.
 * @property {string} address
 * @property {number} port
 * @property {string[]} inside - the command before that of the server.
 */

/** A server of a bus (Debian: nats-server, redis-server). NATS_SERVER is the path of another nats-server. */
class BusServer {
  /** @type {import('node:child_process').ChildProcess | undefined} */
  #process;

  /**
   * @param {'nats' | 'redis'} kind
   * @param {string[]} options
   * @param {Place} place
   */
  constructor(kind, options, place) {
    this.kind = kind;
    this.options = options;
    this.place = place;
  }

  get port() {
    return this.place.port;
  }

  get pid() {
    return this.#process?.pid ?? 0;
  }

  /**
   * @param {'nats' | 'redis'} kind
   * @param {string[]} [options]
   * @param {Place} [place]
   */
  static async start(kind, options = [], place) {
    const loopback = async () => ({ address: '127.0.0.1', port: await freePort(), inside: [] });
    const server = new BusServer(kind, options, place ?? (await loopback()));

    await server.start();
    return server;
  }

  async start() {
    const { address, port, inside } = this.place;
    const commands = {
      nats: [process.env.NATS_SERVER ?? 'nats-server', '-a', address, '-p', `${port}`],
      redis: ['redis-server', '--bind', address, '--port', `${port}`, '--save', ''],
    };
    const [command, ...args] = [...inside, ...commands[this.kind], ...this.options];
    // Debian has nats-server in a folder that not every PATH has.
    const env = { ...process.env, PATH: `${process.env.PATH}:/usr/sbin` };
    const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'], env });
    const output = () =>
      new Promise((resolve) => {
        for (const stream of [child.stdout, child.stderr]) {
          stream.on('data', (data) => /ready/i.test(`${data}`) && resolve(undefined));
        }
      });

    this.#process = child;
    await Promise.race([
      output(),
      once(child, 'error').then(([error]) => Promise.reject(error)),
      once(child, 'exit').then(() => Promise.reject(new Error(`${command} has ended`))),
    ]);
  }

  /** @param {NodeJS.Signals} name */
  signal(name) {
    this.#process?.kill(name);
  }

  async kill() {
    const child = this.#process;

    this.#process = undefined;
    if (child && child.exitCode === null) {
      const ended = once(child, 'exit');

      child.kill('SIGKILL');
      await ended;
    }
  }
}

async function freePort() {
  const server = createServer().listen(0, '127.0.0.1');

  await once(server, 'listening');

  const { port } = /** @type {import('node:net').AddressInfo} */ (server.address());

  server.close();
  await once(server, 'close');
  return port;
}

exports.BusServer = BusServer;
