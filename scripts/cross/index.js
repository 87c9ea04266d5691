'use strict';

// npm run cross [-- --only=PLATFORM[,…]] [--except=PLATFORM[,…]] [--quick] [--list]
//
// Builds the addon for every platform of a release, inspects the files, and runs smoke.js on those that can run on this
// machine: Debian 12 on x64 with Rust, Node.js and pip. Other tools and systems are installed into target/cross, or
// the folder in DATASOUP_CROSS. macOS and Windows on arm64 are only built and inspected; Windows is built for MinGW
// instead of Microsoft's tools, and runs under Wine. `--quick` builds without optimization, as do always the
// platforms that do not run here.
//
// A tool that cannot be installed is a failure too. The last line is `N passed, N failed`; exits with 1 unless all
// passed.

const fs = require('node:fs');

const { readOptions, refuse } = require('../options');
const { build } = require('./build');
const { inspect } = require('./inspect');
const { PLATFORMS } = require('./platforms');
const { test } = require('./systems');
const { seconds } = require('./tools');

/** The most bytes of an addon as it is released: with the licences its package has at most 6.5 MB. */
const MOST_BYTES = 6_340_000;

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
    console.log(`=== ${name}: ok after ${seconds(start)} s`);
    return result;
  } catch (error) {
    counts.failed += 1;
    console.error(error);
    console.log(`=== ${name}: failed after ${seconds(start)} s`);
    return undefined;
  }
}

function main() {
  const { only, except, quick, list } = readOptions({
    only: { type: 'string' },
    except: { type: 'string', default: '' },
    quick: { type: 'boolean', default: false },
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
    const { name, system } = platform;
    // A file that is not run needs no optimization.
    const file = step(`${name}: build`, () => build(platform, quick || !system));
    if (file === undefined) continue;
    step(`${name}: inspect`, () => {
      const { size } = fs.statSync(file);
      console.log(`${file}, ${(size / 1e6).toFixed(1)} MB: ${inspect(platform, file)}`);
      if (!quick && system && size > MOST_BYTES) {
        throw new Error(`${size} bytes, more than ${MOST_BYTES}`);
      }
    });
    if (system) step(`${name}: smoke`, () => test(system, file));
  }
  console.log(`\n${counts.passed} passed, ${counts.failed} failed`);
  process.exitCode = counts.failed === 0 ? 0 : 1;
}

main();
