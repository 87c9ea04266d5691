import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { connect, createServer } from 'node:net';

/** A server of a bus on a free port of the loopback interface (Debian: nats-server, redis-server). */
export class BusServer {
  #process: ChildProcess | undefined;

  private constructor(
    readonly kind: 'nats' | 'redis',
    readonly port: number,
    readonly options: string[],
  ) {}

  static async start(kind: 'nats' | 'redis', options: string[] = []): Promise<BusServer> {
    const server = new BusServer(kind, await freePort(), options);
    await server.start();
    return server;
  }

  async start(): Promise<void> {
    const port = `${this.port}`;
    const [command, ...args] =
      this.kind === 'nats'
        ? ['nats-server', '-a', '127.0.0.1', '-p', port]
        : [
            'redis-server',
            '--bind',
            '127.0.0.1',
            '--port',
            port,
            '--save',
            '',
            '--appendonly',
            'no',
          ];
    // Debian has nats-server in a folder that is not in the PATH of everybody.
    const env = { ...process.env, PATH: `${process.env['PATH']}:/usr/sbin` };
    this.#process = spawn(command!, [...args, ...this.options], { stdio: 'ignore', env });
    await Promise.race([
      this.#listens(),
      once(this.#process, 'error').then(([error]) => Promise.reject(error)),
      once(this.#process, 'exit').then(() => Promise.reject(new Error(`${command} has ended`))),
    ]);
  }

  async kill(): Promise<void> {
    const child = this.#process;
    this.#process = undefined;
    if (child && child.exitCode === null) {
      const ended = once(child, 'exit');
      child.kill('SIGKILL');
      await ended;
    }
  }

  async #listens(): Promise<void> {
    for (;;) {
      const socket = connect(this.port, '127.0.0.1');
      const open = await new Promise<boolean>((resolve) => {
        socket.once('connect', () => resolve(true)).once('error', () => resolve(false));
      });
      socket.destroy();
      if (open) return;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  server.close();
  await once(server, 'close');
  return port;
}
