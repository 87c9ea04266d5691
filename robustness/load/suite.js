'use strict';

// Runs the cases of a program. Each has a process of its own, which is the server; clients and attackers have theirs.

const { IMPL } = require('../../bench/implementation');
const { runInProcess } = require('../../bench/processes/runInProcess');
const { markdown } = require('../../bench/report/markdown');
const { machineOf } = require('../../bench/report/table');
const { readOptions } = require('../../scripts/options');

const CASE = require.resolve('./caseProcess');

/** A case that takes longer is killed. */
const CASE_MS = 5 * 60 * 1_000;

/**
 * @typedef {object} Suite
 * @property {{ name: string, title: string }[]} cases
 * @property {{ seconds: number, rounds: number }} defaults - the length of a phase, and the number of rounds.
 * @property {() => void} [prepare]
 * @property {(options: any) => Promise<any>} measureCase
 * @property {(results: any[]) => string[][]} table
 * @property {(result: any, slack: number) => string[]} broken - the limits that were exceeded. `slack` multiplies them.
 * @property {boolean} [slack] - whether the program has the option --slack.
 */

/**
 * @param {string} file - exports the `cases` and `measureCase` of the suite.
 * @param {Suite} suite
 */
async function runSuite(file, suite) {
  const { only, seconds, rounds, slack, json, list } = readOptions({
    only: { type: 'pattern', default: /(?:)/ },
    seconds: { type: 'number', default: suite.defaults.seconds },
    rounds: { type: 'integer', default: suite.defaults.rounds },
    ...(suite.slack && { slack: { type: 'number', default: 1 } }),
    json: { type: 'boolean' },
    list: { type: 'boolean' },
  });
  const chosen = suite.cases.filter(({ name }) => only.test(name));
  const results = [];

  if (list) {
    return chosen.forEach(({ name, title }) => console.log(`${name.padEnd(22)} ${title}`));
  }
  suite.prepare?.();
  if (json) {
    const machine = machineOf({ impl: IMPL, runs: rounds, extent: 'full', ciphers: {} });

    console.log(JSON.stringify(machine));
  }
  for (const { name, title } of chosen) {
    process.stderr.write(`${title} …\n`);

    const order = { file, impl: IMPL, name, seconds, rounds };
    const result = { name, title, ...(await runInProcess(CASE, order, CASE_MS)) };

    results.push(result);
    if (json) {
      console.log(JSON.stringify(result));
    }
  }
  if (!json) {
    console.log(markdown(suite.table(results)));
  }

  const broken = results.flatMap((result) =>
    (result.error ? [result.error] : suite.broken(result, slack)).map(
      (what) => `${result.title}: ${what}`,
    ),
  );

  broken.forEach((what) => console.error(what));
  process.exitCode = broken.length > 0 ? 1 : 0;
}

exports.runSuite = runSuite;
