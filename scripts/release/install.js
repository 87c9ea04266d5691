'use strict';

// Installs `datasoup` from a registry as a user does, and runs it: the example of README.md, and the smoke test.

const { execFile, execFileSync, spawn } = require('node:child_process');
const { once } = require('node:events');
const fs = require('node:fs');
const { tmpdir } = require('node:os');
const path = require('node:path');
const { promisify } = require('node:util');

const { npmEnvironment } = require('./packages');

const ROOT = path.join(__dirname, '..', '..');
const SMOKE = path.join(ROOT, 'scripts', 'cross', 'smoke.js');
const WINDOWS = process.platform === 'win32';

/** An empty folder with spaces and non-ASCII letters in its name. */
function emptyFolder() {
  const folder = fs.mkdtempSync(path.join(tmpdir(), 'datasoup süß 汤 '));
  fs.writeFileSync(path.join(folder, 'package.json'), JSON.stringify({ private: true }));
  return folder;
}

/**
 * The environment of a user without Rust or a C compiler: `PATH` has only Node.js, npm and a shell. On Windows
 * compilers are not found by `PATH`, so it stays.
 * @param {string} folder For what is on `PATH`.
 * @param {Record<string, string>} [programs]
 * @returns {NodeJS.ProcessEnv}
 */
function bareEnvironment(folder, programs = {}) {
  const environment = npmEnvironment();
  if (WINDOWS) return environment;

  const bin = path.join(folder, '.path');
  const where = (/** @type {string} */ name) =>
    execFileSync('sh', ['-c', `command -v ${name}`])
      .toString()
      .trim();
  const all = { node: process.execPath, npm: where('npm'), sh: where('sh'), ...programs };
  fs.mkdirSync(bin, { recursive: true });
  for (const [name, file] of Object.entries(all)) {
    if (!fs.existsSync(path.join(bin, name))) fs.symlinkSync(file, path.join(bin, name));
  }
  return { ...environment, PATH: bin };
}

/** The first example of README.md. */
function readmeExample() {
  const readme = fs.readFileSync(path.join(ROOT, 'README.md'), 'utf8');
  const [, example] = /^```js\n([^]*?)^```$/m.exec(readme) ?? [];
  if (!example) throw new Error('README.md has no example');
  return example;
}

/**
 * Runs a program until it has printed the output of README.md's example, then ends it, because its Worker stays open.
 * @param {string} program
 * @param {string[]} args
 * @param {import('node:child_process').SpawnOptions} options
 */
async function runExample(program, args, options) {
  const stdio = /** @type {const} */ (['ignore', 'pipe', 'pipe']);
  // A process group, because package managers run the example in a child process.
  const child = spawn(program, args, { ...options, stdio: [...stdio], detached: !WINDOWS });
  const end = () => {
    if (child.pid && child.exitCode === null) process.kill(WINDOWS ? child.pid : -child.pid);
  };
  const hung = setTimeout(end, 60_000);
  let output = '';
  const isWhole = () => /^news: hello 51$/m.test(output) && /fingerprints/.test(output);
  for (const stream of [child.stdout, child.stderr]) {
    stream?.on('data', (data) => {
      output += data;
      if (isWhole()) end();
    });
  }
  await once(child, 'close');
  clearTimeout(hung);
  if (!isWhole()) throw new Error(`the example of README.md prints: ${output}`);
}

/**
 * @param {string} url The registry.
 * @returns {Promise<number>} how many milliseconds the install took.
 */
async function install(url) {
  const folder = emptyFolder();
  const env = bareEnvironment(folder);
  try {
    const start = Date.now();
    const options = [`--registry=${url}`, '--no-audit', '--no-fund', `--cache=${folder}/.cache`];
    const quoted = WINDOWS ? options.map((it) => `"${it}"`) : options;
    await promisify(execFile)('npm', ['install', 'datasoup', ...quoted], {
      cwd: folder,
      env,
      shell: WINDOWS,
    });
    const took = Date.now() - start;

    fs.writeFileSync(path.join(folder, 'example.js'), readmeExample());
    await runExample(process.execPath, ['example.js'], { cwd: folder, env });
    await promisify(execFile)(process.execPath, [SMOKE, 'node_modules/datasoup'], {
      cwd: folder,
      env,
    });
    return took;
  } finally {
    fs.rmSync(folder, { recursive: true, force: true });
  }
}

module.exports = { bareEnvironment, emptyFolder, install, readmeExample, runExample };
