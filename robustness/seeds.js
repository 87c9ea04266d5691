'use strict';

// Shared by programs that run one random program after the other: --count, --seconds, --seed and --verbose.

const { readOptions } = require('../scripts/options');

/**
 * Runs a program for each seed, until there were `--count` of them or `--seconds` have passed.
 *
 * @param {number} defaultCount
 * @param {(seed: number) => Promise<{ trace: string[], failure: string | undefined }>} run
 * @returns {Promise<{ programs: string, acts: number, seconds: string }>} what ran, for the last line: which programs,
 * the length of their traces, and the time.
 * @throws {Error} at the first program that fails, after its trace was printed.
 */
async function runSeeds(defaultCount, run) {
  const options = readOptions({
    count: { type: 'integer', default: defaultCount },
    seconds: { type: 'number', default: Infinity },
    seed: { type: 'integer', min: 0, default: 1 },
    verbose: { type: 'boolean' },
  });
  const { count, seed: first } = options;
  const began = performance.now();
  const seconds = () => (performance.now() - began) / 1_000;
  let acts = 0;
  let seed = first;

  for (; seed < first + count && seconds() < options.seconds; seed++) {
    const { trace, failure } = await run(seed);

    if (options.verbose || failure) {
      console.log(trace.join('\n'));
    }
    if (failure) {
      throw new Error(`program with seed ${seed}: ${failure}`);
    }
    acts += trace.length;
  }
  return {
    programs: `${seed - first} programs, seeds ${first} to ${seed - 1}`,
    acts,
    seconds: `${seconds().toFixed(1)} s`,
  };
}

exports.runSeeds = runSeeds;
