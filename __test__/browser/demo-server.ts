import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { resolve } from 'node:path';

const SERVER = resolve(__dirname, '../../examples/demo/server.js');

export interface DemoServer {
  /** The printed address of the page, without a slash at the end. */
  url: string;
  /** The server's stderr so far. */
  stderr(): string;
  /** Stops the server with SIGTERM and resolves with its exit code. */
  stop(): Promise<number | null>;
}

/** Starts the demo as `npm start` does, on free ports, and waits for its address. */
export async function startDemoServer(): Promise<DemoServer> {
  const child = spawn(process.execPath, [SERVER], {
    env: { ...process.env, PORT: '0', HOST: '127.0.0.1' },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let stderr = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));

  const url = await new Promise<string>((found, fail) => {
    let output = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      output += text;
      const address = /Local\s+(http:\S+)\n/.exec(output)?.[1];
      if (address) found(address);
    });
    child.once('exit', (code) => fail(new Error(`The demo ended with ${code}:\n${stderr}`)));
  });

  return {
    url,
    stderr: () => stderr,
    async stop() {
      if (child.exitCode === null && child.signalCode === null) {
        child.kill('SIGTERM');
        await once(child, 'exit');
      }

      return child.exitCode;
    },
  };
}
