'use strict';

// npm run build [-- [--debug] [--if-missing] [OPTION OF napi build…]]
//
// Builds the addon into native/: as it is released, or quickly with `--debug`. With `--if-missing` it does nothing if
// native/ has an addon that loads; `npm install` runs it like this in a clone and in an install from git, but not in an
// install of a package.

const { spawnSync } = require('node:child_process');
const { existsSync } = require('node:fs');
const path = require('node:path');

const ROOT = path.join(__dirname, '..');
const NAPI = path.join(ROOT, 'node_modules', '@napi-rs', 'cli', 'dist', 'cli.js');

/** The programs that a build needs beside node_modules/, and where each comes from. */
const TOOLS = [['cargo', 'Rust 1.89 or later (https://rustup.rs)']];
// On Windows the build finds Visual Studio's compiler by itself.
if (process.platform !== 'win32') {
  TOOLS.push(['cc', 'a C compiler (Debian, Ubuntu: apt-get install build-essential)']);
}

/** Loads it in another process, because an addon that does not load can end its process. */
function isBuilt() {
  const loader = path.join(ROOT, 'lib', 'native.js');

  return spawnSync(process.execPath, [loader], { stdio: 'ignore' }).status === 0;
}

/** @param {string} program */
function isMissing(program) {
  return spawnSync(program, ['--version'], { stdio: 'ignore' }).error !== undefined;
}

/** @param {string} line */
const say = (line) => console.error(`datasoup: ${line}`);

/**
 * @param {string[]} args
 * @returns {number} The exit code.
 */
function build(args) {
  const debug = args.includes('--debug');
  const others = args.filter((it) => it !== '--debug');
  const missing = TOOLS.filter(([program]) => isMissing(program)).map(([, source]) => source);
  if (!existsSync(NAPI)) missing.push('the development dependencies (npm install --include=dev)');
  if (missing.length > 0) {
    say(`cannot build the addon: install ${missing.join(' and ')}, then run npm run build`);
    return 1;
  }

  say(debug ? 'building the addon for development' : 'building the addon; this takes some minutes');
  const start = Date.now();
  const flags = ['--platform', '--features', 'node', '--output-dir', 'native'];
  const names = ['--no-js', '--dts', 'binding.d.ts'];
  const profile = debug || others.includes('--profile') ? [] : ['--release'];
  const { status, error } = spawnSync(
    process.execPath,
    [NAPI, 'build', ...flags, ...names, ...profile, ...others],
    { cwd: ROOT, stdio: 'inherit' },
  );
  const seconds = Math.round((Date.now() - start) / 1000);
  if (status !== 0) {
    say(`the build failed after ${seconds} s${error ? `: ${error.message}` : ''}`);
    return 1;
  }
  say(`built the addon in ${seconds} s`);
  return 0;
}

const args = process.argv.slice(2);

if (!args.includes('--if-missing') || !isBuilt()) {
  process.exitCode = build(args.filter((it) => it !== '--if-missing'));
}
