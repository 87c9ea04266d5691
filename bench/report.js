'use strict';

// The figures as JSON lines and as a table.

const os = require('node:os');

/**
 * What was measured, and on what.
 *
 * @param {{ impl: string, runs: number, quick: boolean }} options
 */
function machineLine({ impl, runs, quick }) {
  const { version } = require(`${impl}/package.json`);
  const [cpu] = os.cpus();

  return JSON.stringify({
    date: new Date().toISOString(),
    impl,
    version,
    runs,
    quick,
    cpu: cpu.model,
    cores: os.cpus().length,
    memoryGiB: Math.round(os.totalmem() / 2 ** 30),
    system: `${os.type()} ${os.release()}`,
    node: process.version,
    load: os.loadavg()[0],
  });
}

/** @param {any} result */
function jsonLine({ row, ...figures }) {
  const { name, title, unit, mark } = row;

  return JSON.stringify({ name, title, unit, mark, ...figures });
}

const COLUMNS = [
  'row',
  'per second',
  'CPU µs each (least)',
  'p50 / p99 µs',
  'reference: CPU µs each',
  'ratio',
  'lost',
  'mark',
];

/** @param {any[]} results */
function table(results) {
  const lines = [COLUMNS, ...results.map(cells)];
  const widths = COLUMNS.map((_, column) => Math.max(...lines.map((line) => line[column].length)));
  const show = (/** @type {string[]} */ line) =>
    `| ${line.map((cell, column) => cell.padEnd(widths[column])).join(' | ')} |`;
  const rule = `|${widths.map((width) => '-'.repeat(width + 2)).join('|')}|`;
  const notes = results.flatMap(({ row, figures, error }) => [
    ...(figures ? [`${row.title}: ${JSON.stringify(figures)}`] : []),
    ...(error ? [`${row.title}: ${error}`] : []),
  ]);

  return [show(lines[0]), rule, ...lines.slice(1).map(show), '', ...notes].join('\n');
}

/**
 * @param {any} result
 * @returns {string[]}
 */
function cells({ row, error, ...result }) {
  if (error) {
    return [row.title, 'failed', '', '', '', '', '', ''];
  }

  const { perSecond, cpu, p50, p99, reference, cpuRatio, lost, disordered } = result;

  return [
    row.title,
    number(perSecond),
    `${number(cpu.median)} (${number(cpu.min)})`,
    p50 === undefined ? '' : `${number(p50)} / ${number(p99)}`,
    `${reference.name}: ${number(reference.cpu.median)}`,
    number(cpuRatio),
    disordered ? `${lost}, ${disordered} out of order` : `${lost}`,
    verdict(row.mark, result),
  ];
}

/**
 * @param {import('.').Mark | undefined} mark
 * @param {any} result
 */
function verdict({ later, ...now } = {}, result) {
  const one = (/** @type {import('.').Limits} */ limits) =>
    Object.entries(limits).map(([name, limit]) => {
      const value = name === 'cpu' ? result.cpu.median : (result[name] ?? result.figures?.[name]);

      return `${name} ≤ ${limit} ${value <= limit ? 'yes' : 'no'}`;
    });

  return [...one(now), ...one(later ?? {}).map((each) => `later ${each}`)].join(', ');
}

/** @param {number} value - shown with three digits at least. */
function number(value) {
  const digits = value >= 100 ? 0 : value >= 10 ? 1 : 2;

  return value.toLocaleString('en', {
    minimumFractionDigits: digits,
    maximumFractionDigits: digits,
  });
}

module.exports = { jsonLine, machineLine, table };
