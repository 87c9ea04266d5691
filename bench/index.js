'use strict';

// npm run bench -- [--rows=REGEX] [--runs=N] [--quick] [--json] [--list]
// IMPL=PATH npm run bench: measures another module with the same API.
//
// Each row is measured in a process of its own, so that none inherits the heap, the compiled code or the threads of
// another. docs/performance.md says what the figures mean.

const { fork } = require('node:child_process');
const path = require('node:path');
const { parseArgs } = require('node:util');

const { jsonLine, machineLine, table } = require('./report');
const rows = require('./rows');

/** A row that has not ended by then is killed. */
const ROW_MS = 10 * 60 * 1_000;

/**
 * @typedef {object} Limits - what a row is to reach, at most, in µs: CPU per item, and quantiles of the latency.
 * @property {number} [cpu]
 * @property {number} [p50]
 * @property {number} [p99]
 * @property {number} [memory] - KiB per connected peer.
 */

/** @typedef {Limits & { later?: Limits }} Mark - `later` is the next one to reach. */

/**
 * @typedef {object} Context
 * @property {any} api - the module that is measured.
 * @property {(count: number) => number} scale - how many of `count` to do.
 */

/**
 * @typedef {object} Load
 * @property {() => Promise<void>} [before] - what a run needs and does not measure.
 * @property {() => Promise<import('./harness').Outcome>} run
 * @property {() => unknown} close
 */

/** @typedef {Load & { workers: { pid: number }[], reference: Load & { name: string } }} Prepared */

/**
 * @typedef {object} Row
 * @property {string} name
 * @property {string} title
 * @property {string} unit - what is counted: 'message', 'round trip' …
 * @property {Mark} [mark]
 * @property {boolean} [cold] - no run to warm up.
 * @property {(context: Context) => Promise<Prepared>} prepare
 */

function options() {
  const { values } = parseArgs({
    options: {
      rows: { type: 'string', default: '' },
      runs: { type: 'string' },
      quick: { type: 'boolean', default: false },
      json: { type: 'boolean', default: false },
      list: { type: 'boolean', default: false },
    },
  });
  const runs = Number(values.runs ?? (values.quick ? 1 : 5));

  if (!Number.isInteger(runs) || runs < 1) {
    throw new TypeError(`--runs must be a positive integer (got ${values.runs})`);
  }
  return { ...values, rows: new RegExp(values.rows), runs };
}

/**
 * Measures one row in a process of its own.
 *
 * @param {string} name
 * @param {{ runs: number, quick: boolean, impl: string }} options
 * @returns {Promise<any>} what `rowProcess.js` tells.
 */
function measureRow(name, options) {
  return new Promise((resolve) => {
    const child = fork(path.join(__dirname, 'rowProcess.js'), [], {
      execArgv: ['--expose-gc', ...process.execArgv],
    });
    const timer = setTimeout(() => child.kill('SIGKILL'), ROW_MS);
    /** @type {any} */
    let result = { error: 'its process has ended without a result' };

    child.on('message', (message) => (result = message));
    child.on('exit', () => {
      clearTimeout(timer);
      resolve(result);
    });
    child.send({ name, ...options });
  });
}

async function main() {
  const { rows: pattern, runs, quick, json, list } = options();
  const impl = path.resolve(process.env.IMPL ?? path.join(__dirname, '..'));
  const chosen = rows.filter(({ name }) => pattern.test(name));
  const results = [];

  if (list) {
    return chosen.forEach(({ name, title }) => console.log(`${name.padEnd(22)} ${title}`));
  }
  if (json) {
    console.log(machineLine({ impl, runs, quick }));
  }
  for (const row of chosen) {
    process.stderr.write(`${row.title} …\n`);

    const result = { row, ...(await measureRow(row.name, { runs, quick, impl })) };

    results.push(result);
    if (json) {
      console.log(jsonLine(result));
    }
  }
  if (!json) {
    console.log(table(results));
  }
  if (results.some(({ error, lost, disordered }) => error || lost || disordered)) {
    process.exitCode = 1;
  }
}

main();
