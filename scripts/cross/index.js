'use strict';

// npm run cross [-- --only=PLATFORM[,…]] [--except=PLATFORM[,…]] [--quick] [--tidy] [--list]
//
// Builds the addon for every platform of a release, inspects the files, and runs smoke.js on those that can run on this
// machine: Debian 12 on x64 with Rust, Node.js and pip. For Windows on x64 and Linux on arm64 with glibc it also checks
// that the tests in Rust compile. Other tools and systems are installed into target/cross, or the folder in
// DATASOUP_CROSS. macOS and Windows on arm64 are not run; Windows is built for MinGW instead of Microsoft's tools, and
// runs under Wine. `--quick` builds without optimization; platforms that do not run here are always built so. `--tidy`
// removes what cargo made for a platform once that is tested.
//
// A tool that cannot be installed is a failure too. The last line is `N passed, N failed`; exits with 1 unless all
// passed.

const fs = require('node:fs');

const { freeGB } = require('../disk');
const { readOptions, refuse } = require('../options');
const { build, checkRust, clean } = require('./build');
const { inspect } = require('./inspect');
const { PLATFORMS } = require('./platforms');
const { test } = require('./systems');
const { CACHE, seconds } = require('./tools');

/** The most bytes of an addon as it is released: with 90 KB of licences its package has at most 6.5 MB. */
const MOST_BYTES = 6_400_000;

/** @param {number} start */
const lapse = (start) => `${seconds(start)} s, ${freeGB(CACHE).toFixed(1)} GB free`;

const counts = { passed: 0, failed: 0 };

/**
 * @template T
 * @param {string} name
 * @param {() => T} action
 * @returns {T | undefined} Undefined if it failed.
 */
function step(name, action) {
  const start = Date.now();
  console.log(`\n=== ${name}`);
  try {
    const result = action();
    counts.passed += 1;
    console.log(`=== ${name}: ok after ${lapse(start)}`);
    return result;
  } catch (error) {
    counts.failed += 1;
    console.error(error);
    console.log(`=== ${name}: failed after ${lapse(start)}`);
    return undefined;
  }
}

/**
 * @param {import('./platforms').Platform} platform
 * @param {boolean} quick
 */
function check(platform, quick) {
  const { name, system, tests } = platform;
  const file = step(`${name}: build`, () => build(platform, quick));
  if (file === undefined) return;
  step(`${name}: inspect`, () => {
    const { size } = fs.statSync(file);
    console.log(`${file}, ${(size / 1e6).toFixed(1)} MB: ${inspect(platform, file)}`);
    if (!quick && size > MOST_BYTES) throw new Error(`${size} bytes, more than ${MOST_BYTES}`);
  });
  if (system) step(`${name}: smoke`, () => test(system, file));
  if (tests) step(`${name}: tests compile`, () => checkRust(platform, quick));
}

function main() {
  const { only, except, quick, tidy, list } = readOptions({
    only: { type: 'string' },
    except: { type: 'string', default: '' },
    quick: { type: 'boolean', default: false },
    tidy: { type: 'boolean' },
    list: { type: 'boolean' },
  });
  const names = PLATFORMS.map(({ name }) => name);
  if (list) return console.log(names.join('\n'));
  const [wanted, unwanted] = [only ?? names.join(), except].map((it) =>
    it.split(',').filter(Boolean),
  );
  const unknown = [...wanted, ...unwanted].filter((it) => !names.includes(it));
  if (unknown.length > 0) {
    refuse(`there is no platform ${unknown.join(', ')}; there are ${names.join(', ')}`);
  }

  const chosen = PLATFORMS.filter(({ name }) => wanted.includes(name) && !unwanted.includes(name));
  for (const platform of chosen) {
    // A file that is not run needs no optimization.
    const quickly = quick || !platform.system;
    check(platform, quickly);
    if (tidy) clean(platform, quickly);
  }
  console.log(`\n${counts.passed} passed, ${counts.failed} failed`);
  process.exitCode = counts.failed === 0 ? 0 : 1;
}

main();
