import { execFile } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import * as path from 'node:path';
import { promisify } from 'node:util';
import { bareEnvironment } from '../../scripts/release/install';
import { Registry } from '../../scripts/release/registry';
import { ROOT } from './process';

/** The packages that `node scripts/release.js --dry-run` has made, and a registry with them. */

const FOLDER = path.join(ROOT, 'target/release-packages');

if (!existsSync(FOLDER)) {
  throw new Error('there are no packages: run node scripts/release.js --dry-run first');
}

/**
 * A registry on loopback with the packages and their dependencies. `upstream` is the registry of all others; without it
 * they are not found.
 */
export async function startRegistry(upstream?: string): Promise<Registry> {
  const registry = await new Registry({ upstream }).start();
  for (const folder of [FOLDER, path.join(FOLDER, 'dependencies')]) {
    for (const name of readdirSync(folder)) {
      if (name.endsWith('.tgz')) registry.add(path.join(folder, name));
    }
  }
  return registry;
}

/** Runs a program as a user would, with neither Rust nor a C compiler. */
export async function runBare(
  cwd: string,
  program: string,
  args: string[],
  env: Record<string, string> = {},
): Promise<{ stdout: string; stderr: string }> {
  const options = { cwd, env: { ...bareEnvironment(cwd), ...env }, maxBuffer: 2 ** 26 };

  return await promisify(execFile)(program, args, options).catch((error) => {
    // Yarn writes its errors to stdout.
    error.message += error.stdout;
    throw error;
  });
}
