import { spawn } from 'node:child_process';
import { once } from 'node:events';
import * as path from 'node:path';

import { ROOT } from './process';
import { until } from './wait';

export interface Server {
  /** The printed address, without a slash at the end. */
  url: string;
  /** Its stdout so far. */
  stdout(): string;
  /** Resolves with the matches of `pattern` in stdout, once there are `count`. The pattern needs the flag g. */
  untilPrinted(pattern: RegExp, count?: number): Promise<RegExpExecArray[]>;
  /** What it has written to stderr. */
  stderr(): string;
  /** Suspends the server (SIGSTOP), so that it neither answers nor closes its connections. */
  freeze(): void;
  /** Resumes a frozen server. */
  thaw(): void;
  /** Stops the server with SIGTERM and resolves with its exit code. */
  stop(): Promise<number | null>;
}

/**
 * Starts a server of examples/ or of an absolute path, on a free port by default, and waits for its address.
 * `settings`: its environment.
 */
export async function startServer(
  script: string,
  port = '0',
  settings: Record<string, string> = {},
): Promise<Server> {
  const child = spawn(process.execPath, [path.resolve(ROOT, 'examples', script)], {
    env: { ...process.env, PORT: port, HOST: '127.0.0.1', ...settings },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let stderr = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));

  let output = '';
  const url = await new Promise<string>((found, fail) => {
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      output += text;
      const address = /(http:\S+)\n/.exec(output)?.[1];
      if (address) found(address);
    });
    child.once('exit', (code) => fail(new Error(`${script} ended with ${code}:\n${stderr}`)));
  });

  return {
    url,
    stdout: () => output,
    async untilPrinted(pattern, count = 1) {
      const found = (): RegExpExecArray[] => [...output.matchAll(pattern)];
      await until(child.stdout, 'data', () => found().length >= count, `${pattern}`);
      return found();
    },
    stderr: () => stderr,
    freeze: () => child.kill('SIGSTOP'),
    thaw: () => child.kill('SIGCONT'),
    async stop() {
      if (child.exitCode === null && child.signalCode === null) {
        child.kill('SIGCONT');
        child.kill('SIGTERM');
        await once(child, 'exit');
      }

      return child.exitCode;
    },
  };
}
