'use strict';

// A server of a message bus, on a free port of the loopback interface.

const { spawn } = require('node:child_process');
const { once } = require('node:events');
const net = require('node:net');

const { cpuOfProcess } = require('../measure');

/** @type {Record<'nats' | 'redis', (port: string) => string[]>} */
const COMMANDS = {
  nats: (port) => ['nats-server', '-a', '127.0.0.1', '-p', port],
  redis: (port) => ['redis-server', '--bind', '127.0.0.1', '--port', port, '--save', ''],
};

class BusServer {
  #child;

  /** @param {'nats' | 'redis'} kind */
  static async start(kind) {
    const listener = net.createServer().listen(0, '127.0.0.1');

    await once(listener, 'listening');

    const { port } = /** @type {net.AddressInfo} */ (listener.address());

    listener.close();
    await once(listener, 'close');

    const [command, ...args] = COMMANDS[kind](`${port}`);
    // Debian has nats-server in a folder that is not in the PATH of all users.
    const env = { ...process.env, PATH: `${process.env.PATH}:/usr/sbin` };
    const child = spawn(command, args, { stdio: 'ignore', env });

    process.once('exit', () => child.kill());
    await Promise.race([
      listens(port),
      once(child, 'error').then(([error]) => Promise.reject(error)),
      once(child, 'exit').then(() => Promise.reject(new Error(`${command} has ended`))),
    ]);
    return new BusServer(child, port);
  }

  /**
   * @param {import('node:child_process').ChildProcess} child
   * @param {number} port
   */
  constructor(child, port) {
    this.#child = child;
    this.port = port;
  }

  /** The CPU time of the process so far, in µs. */
  get cpuMicros() {
    return cpuOfProcess(this.#child.pid ?? 0);
  }

  async end() {
    const ended = once(this.#child, 'exit');

    this.#child.kill();
    await ended;
  }
}

/** @param {number} port */
async function listens(port) {
  for (;;) {
    const socket = net.connect(port, '127.0.0.1');
    const open = await once(socket, 'connect').then(
      () => true,
      () => false,
    );

    socket.destroy();
    if (open) {
      return;
    }
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

exports.BusServer = BusServer;
