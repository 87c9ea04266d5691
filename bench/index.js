'use strict';

// npm run bench -- [--rows=REGEX] [--runs=N] [--quick | --smoke] [--json] [--list] [--plots=FOLDER] [--from=FILE]
// IMPL=PATH npm run bench: measures another module with the same API.
//
// Each row is measured in a process of its own, so that none inherits the heap, the compiled code or the threads of
// another. docs/performance.md says what the figures mean.

const fs = require('node:fs');
const path = require('node:path');

const { doInProcess } = require('./errand');
const { buildLightPeers } = require('./lightPeers');
const { readOptions } = require('./options');
const { plots } = require('./plots');
const { jsonLine, machineOf, machineText, parse, table } = require('./report');
const rows = require('./rows');

const ROW = require.resolve('./rowProcess');
const CIPHERS = require.resolve('./ciphers');

/** A row that has not ended by then is killed. */
const ROW_MS = 10 * 60 * 1_000;

/** How many rows of `--smoke` run at a time, which measures nothing. */
const SMOKE_ROWS = 2;

/**
 * @typedef {object} Mark - what a row is to reach, at most, in µs: CPU per item, and quantiles of the latency.
 * @property {number} [cpu]
 * @property {number} [p50]
 * @property {number} [p99]
 * @property {number} [memory] - KiB per connected peer.
 */

/** @typedef {'full' | 'quick' | 'smoke'} Extent */

/**
 * @typedef {object} Context
 * @property {any} api - the module that is measured.
 * @property {(count: number) => number} scale - how many of `count` to do.
 * @property {(count: number) => number} fleet - how many of `count` clients to have.
 */

/**
 * @typedef {object} Load
 * @property {() => Promise<void>} [before] - what a run needs and does not measure.
 * @property {() => Promise<import('./harness').Outcome>} run
 * @property {() => Promise<Record<string, number>>} [after] - what is measured after a run, and the end of the run.
 * @property {{ pid: number }[]} [workers] - what does the work: threads of this process, or processes.
 * @property {() => unknown} close
 */

/** @typedef {Load & { reference: Load & { name: string } }} Prepared */

/**
 * @typedef {object} Row
 * @property {string} name
 * @property {string} title
 * @property {string} unit - what is counted: 'message', 'round trip' …
 * @property {Mark} [mark]
 * @property {boolean} [cold] - no run to warm up.
 * @property {'light' | 'libdatachannel'} [clients] - those of clients/, or of node-datachannel.
 * @property {boolean} [spins] - waits for what is due in a loop without sleep, so that its CPU time says nothing.
 * @property {Record<string, string | number>} [group] - its place in a plot.
 * @property {(context: Context) => Promise<Prepared>} prepare
 */

function options() {
  const { runs, ...values } = readOptions({
    rows: { type: 'pattern', default: /(?:)/ },
    runs: { type: 'integer' },
    quick: { type: 'boolean' },
    smoke: { type: 'boolean' },
    json: { type: 'boolean' },
    list: { type: 'boolean' },
    plots: { type: 'string' },
    from: { type: 'string' },
  });
  const { quick, smoke } = values;
  /** @type {Extent} */
  const extent = smoke ? 'smoke' : quick ? 'quick' : 'full';

  return { ...values, runs: runs ?? (quick || smoke ? 1 : 5), extent };
}

/**
 * Measures rows, in their order unless they run at the same time.
 *
 * @param {Row[]} chosen
 * @param {{ runs: number, extent: Extent, impl: string }} order
 * @param {(result: any) => void} tell
 */
async function measureRows(chosen, order, tell) {
  const left = [...chosen];

  async function lane() {
    for (let row = left.shift(); row; row = left.shift()) {
      process.stderr.write(`${row.title} …\n`);
      tell({ row, ...(await doInProcess(ROW, { name: row.name, ...order }, ROW_MS)) });
    }
  }

  await Promise.all(Array.from({ length: order.extent === 'smoke' ? SMOKE_ROWS : 1 }, lane));
}

async function main() {
  const { rows: pattern, runs, extent, json, list, plots: folder, from } = options();
  const impl = path.resolve(process.env.IMPL ?? path.join(__dirname, '..'));
  const chosen = rows.filter(({ name }) => pattern.test(name));

  if (list) {
    return chosen.forEach(({ name, title }) => console.log(`${name.padEnd(26)} ${title}`));
  }

  /** @type {any} */
  let machine;
  /** @type {any[]} */
  let results = [];

  if (from) {
    ({ machine, results } = parse(fs.readFileSync(from, 'utf8')));
    console.log(machineText(machine));
  } else {
    const clients = new Set(chosen.map((row) => row.clients));

    if (clients.has('light')) {
      process.env.BENCH_CLIENTS ??= buildLightPeers(extent === 'smoke' ? 'dev' : 'clients');
    }

    const ciphers =
      clients.size > 1 || !clients.has(undefined)
        ? await doInProcess(CIPHERS, { impl }, ROW_MS)
        : {};

    machine = machineOf({ impl, runs, extent, ciphers });
    console.log(json ? JSON.stringify(machine) : machineText(machine));
    await measureRows(chosen, { runs, extent, impl }, (result) => {
      results.push(result);
      if (json) {
        console.log(jsonLine(result));
      }
    });
    results.sort((a, b) => rows.indexOf(a.row) - rows.indexOf(b.row));
  }
  if (!json) {
    console.log(table(results));
  }
  if (folder) {
    fs.mkdirSync(folder, { recursive: true });
    for (const [name, svg] of plots(results)) {
      fs.writeFileSync(path.join(folder, `${name}.svg`), svg);
    }
  }
  if (results.some(({ error, lost, disordered }) => error || lost || disordered)) {
    process.exitCode = 1;
  }
}

main();
