'use strict';

// npm run bench -- [--rows=REGEX] [--runs=N] [--quick | --smoke] [--json] [--list] [--plots=FOLDER] [--from=FILE]
// IMPL=PATH npm run bench: measures another module with the same API.
//
// Measures each row in a process of its own, so that it inherits no heap, compiled code or threads. bench/README.md
// explains the rows and the figures.

const fs = require('node:fs');
const path = require('node:path');

const { readOptions } = require('../scripts/options');
const { buildLightClients } = require('./clients/light');
const { IMPL } = require('./implementation');
const { runInProcess } = require('./processes/runInProcess');
const { plots } = require('./report/plots');
const { jsonLine, machineOf, machineText, parse, table } = require('./report/table');
const rows = require('./rows');

const ROW = require.resolve('./rowProcess');
const CIPHERS = require.resolve('./ciphers');

/** A row that takes longer is killed. */
const ROW_MS = 10 * 60 * 1_000;

/** `--smoke` runs this many rows at a time; it only shows that they work. */
const SMOKE_ROWS = 2;

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
  /** @type {import('./types').Extent} */
  const extent = smoke ? 'smoke' : quick ? 'quick' : 'full';

  return { ...values, runs: runs ?? (quick || smoke ? 1 : 5), extent };
}

/**
 * Measures rows.
 *
 * @param {import('./types').Row[]} chosen
 * @param {{ runs: number, extent: import('./types').Extent, impl: string }} order
 * @param {(result: any) => void} onResult
 */
async function measureRows(chosen, order, onResult) {
  const left = [...chosen];

  async function lane() {
    for (let row = left.shift(); row; row = left.shift()) {
      process.stderr.write(`${row.title} …\n`);
      onResult({ row, ...(await runInProcess(ROW, { name: row.name, ...order }, ROW_MS)) });
    }
  }

  await Promise.all(Array.from({ length: order.extent === 'smoke' ? SMOKE_ROWS : 1 }, lane));
}

async function main() {
  const { rows: pattern, runs, extent, json, list, plots: folder, from } = options();
  const impl = IMPL;
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
      process.env.BENCH_CLIENTS ??= buildLightClients(extent === 'smoke' ? 'dev' : 'clients');
    }

    const ciphers =
      clients.size > 1 || !clients.has(undefined)
        ? await runInProcess(CIPHERS, { impl }, ROW_MS)
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
