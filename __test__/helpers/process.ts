import { spawn } from 'node:child_process';
import { once } from 'node:events';
import * as path from 'node:path';

/** The folder of the package: `require(ROOT)` loads the package as users do. */
export const ROOT = path.resolve(__dirname, '../..');

export interface Ended {
  code: number | null;
  signal: NodeJS.Signals | null;
  stdout: string;
  stderr: string;
}

interface Options {
  args?: string[];
  env?: Record<string, string>;
  onStdout?: (output: string, kill: () => void) => void;
  /** Milliseconds after which the process is killed. */
  patience?: number;
}

/**
 * Runs `script` in a Node.js process, where `datasoup` is the package, and resolves once the process has ended.
 * `onStdout` gets the output so far after each piece, and a function that kills the process.
 */
export async function runNode(script: string, options: Options = {}): Promise<Ended> {
  const { args = [] } = options;
  const prologue = args.includes('--input-type=module')
    ? ''
    : `'use strict'; const datasoup = require(${JSON.stringify(ROOT)});\n`;
  return run([...args, '-e', prologue + script], options);
}

/** Runs a program of the repository. */
export async function runProgram(file: string, ...args: string[]): Promise<Ended> {
  return run([path.join(ROOT, file), ...args], { patience: 280_000 });
}

async function run(
  args: string[],
  { env = {}, onStdout = () => {}, patience = 40_000 }: Options,
): Promise<Ended> {
  const child = spawn(process.execPath, args, {
    cwd: ROOT,
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let stdout = '';
  let stderr = '';
  child.stdout.on('data', (data: Buffer) => {
    stdout += data.toString();
    onStdout(stdout, () => child.kill('SIGKILL'));
  });
  child.stderr.on('data', (data: Buffer) => {
    stderr += data.toString();
  });
  const hung = setTimeout(() => child.kill('SIGKILL'), patience);
  const [code, signal] = (await once(child, 'close')) as [number | null, NodeJS.Signals | null];
  clearTimeout(hung);
  return { code, signal, stdout, stderr };
}
