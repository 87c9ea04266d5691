'use strict';

// Runs the cases of a program, each in a process of its own, the server; peers and attackers have theirs.

const path = require('node:path');

const { readOptions } = require('../../scripts/options');
const { runInProcess } = require('../../bench/processes/runInProcess');
const { markdown } = require('../../bench/report/markdown');
const { machineOf } = require('../../bench/report/table');

const CASE = require.resolve('./caseProcess');

/** A case that has not ended by then is killed. */
const CASE_MS = 5 * 60 * 1_000;

/**
 * @typedef {object} Suite
 * @property {{ name: string, title: string }[]} cases
 * @property {{ seconds: number, rounds: number }} defaults - how long a phase takes, and how many there are of each.
 * @property {() => void} [prepare]
 * @property {(options: any) => Promise<any>} measureCase
 * @property {(results: any[]) => string[][]} table
 * @property {(result: any) => string[]} broken - what was promised and did not hold.
 */

/** @param {string} file - the suite's. */
async function run(file) {
  /** @type {Suite} */
  const suite = require(file);
  const { only, seconds, rounds, json, list } = readOptions({
    only: { type: 'pattern', default: /(?:)/ },
    seconds: { type: 'number', default: suite.defaults.seconds },
    rounds: { type: 'integer', default: suite.defaults.rounds },
    json: { type: 'boolean' },
    list: { type: 'boolean' },
  });
  const impl = path.resolve(process.env.IMPL ?? path.join(__dirname, '../..'));
  const chosen = suite.cases.filter(({ name }) => only.test(name));
  const results = [];

  if (list) {
    return chosen.forEach(({ name, title }) => console.log(`${name.padEnd(22)} ${title}`));
  }
  suite.prepare?.();
  if (json) {
    console.log(JSON.stringify(machineOf({ impl, runs: rounds, extent: 'full', ciphers: {} })));
  }
  for (const { name, title } of chosen) {
    process.stderr.write(`${title} …\n`);

    const result = {
      name,
      title,
      ...(await runInProcess(CASE, { file, impl, name, seconds, rounds }, CASE_MS)),
    };

    results.push(result);
    if (json) {
      console.log(JSON.stringify(result));
    }
  }
  if (!json) {
    console.log(markdown(suite.table(results)));
  }

  const broken = results.flatMap((result) =>
    (result.error ? [result.error] : suite.broken(result)).map(
      (what) => `${result.title}: ${what}`,
    ),
  );

  broken.forEach((what) => console.error(what));
  process.exitCode = broken.length > 0 ? 1 : 0;
}

module.exports = { run };
