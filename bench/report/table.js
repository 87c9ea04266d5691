'use strict';

// Results as JSON lines and as a table.

const os = require('node:os');

const { markdown } = require('./markdown');

/**
 * What was measured, and on which machine.
 *
 * @param {{ impl: string, runs: number, extent: string, ciphers: object }} options
 */
function machineOf({ impl, runs, extent, ciphers }) {
  const [cpu] = os.cpus();

  return {
    date: new Date().toISOString(),
    impl,
    version: versionOf(impl),
    runs,
    extent,
    ciphers,
    cpu: cpu.model,
    cores: os.cpus().length,
    memoryGiB: Math.round(os.totalmem() / 2 ** 30),
    system: `${os.type()} ${os.release()}`,
    node: process.version,
    load: os.loadavg()[0],
  };
}

/** @param {string} impl */
function versionOf(impl) {
  try {
    return require(`${impl}/package.json`).version;
  } catch {
    return undefined; // a file, or a folder without package.json
  }
}

/**
 * What `machineOf()` returns, as text.
 *
 * @param {any} machine
 */
function machineText({ impl, version = '', ciphers, cpu, cores, memoryGiB, system, node, load }) {
  const suites = Object.entries(ciphers ?? {}).map(([client, suite]) => `${client} ${suite}`);

  return [
    `${impl} ${version}; ${cpu}, ${cores} cores, ${memoryGiB} GiB, ${system}, Node.js ${node}, load ${number(load)}`,
    ...(suites.length > 0 ? [`DTLS: ${suites.join(', ')}`] : []),
    '',
  ].join('\n');
}

/** @param {any} result */
function jsonLine({ row, ...figures }) {
  const { name, title, unit, mark, spins, group } = row;

  return JSON.stringify({ name, title, unit, mark, spins, group, ...figures });
}

/**
 * Parses the output of `npm run bench -- --json`: the machine, and results for `table()`.
 *
 * @param {string} text
 */
function parse(text) {
  const [machine, ...lines] = text
    .split('\n')
    .filter((line) => line.startsWith('{'))
    .map((line) => JSON.parse(line));
  const results = lines.map(({ name, title, unit, mark, spins, group, ...figures }) => ({
    row: { name, title, unit, mark, spins, group },
    ...figures,
  }));

  return { machine, results };
}

const COLUMNS = [
  'row',
  'per second',
  'CPU µs each (least)',
  'p50 / p99 / p99.9 µs',
  'reference: CPU µs each',
  'ratio (of the least)',
  'lost',
  'mark',
];

/** @param {any[]} results */
function table(results) {
  const notes = results.flatMap(({ row, figures, rateRatio, error }) => [
    ...(figures ? [`${row.title}: ${Object.entries(figures).map(figure).join(', ')}`] : []),
    ...(row.group?.name === 'scale'
      ? [`${row.title}: ${number(rateRatio)} times the rate of the reference`]
      : []),
    ...(error ? [`${row.title}: ${error}`] : []),
  ]);

  return [markdown([COLUMNS, ...results.map(cells)]), '', ...notes].join('\n');
}

/** Names of further figures. */
const FIGURES = new Map([
  ['clientCpu', 'CPU µs each in the clients'],
  ['copy', 'CPU µs each in the gateway that sends'],
  ['taken', 'CPU µs each in those that receive'],
  ['idleCpu', 'CPU ms per second while idle'],
  ['maximum', 'per second at most'],
  ['memory', 'KiB per client'],
]);

/** @param {[string, number]} figure */
function figure([name, value]) {
  return `${number(value)} ${FIGURES.get(name) ?? name}`;
}

/**
 * @param {any} result
 * @returns {string[]}
 */
function cells({ row, error, ...result }) {
  if (error) {
    return [row.title, 'failed', '', '', '', '', '', ''];
  }

  const { perSecond, cpu, p50, p99, p999, reference, lost, disordered } = result;
  const { cpuRatio, leastCpuRatio } = result;

  return [
    row.title,
    number(perSecond),
    row.spins ? '' : `${number(cpu.median)} (${number(cpu.min)})`,
    p50 === undefined ? '' : [p50, p99, p999].map(number).join(' / '),
    row.spins ? reference.name : `${reference.name}: ${ofReference(reference)}`,
    row.spins ? '' : `${number(cpuRatio)} (${number(leastCpuRatio)})`,
    disordered ? `${lost}, ${disordered} out of order` : `${lost}`,
    verdict(row.mark, result),
  ];
}

/** @param {{ cpu: { median: number }, p50?: number }} reference */
const ofReference = ({ cpu, p50 }) =>
  number(cpu.median) + (p50 === undefined ? '' : `, p50 ${number(p50)} µs`);

/**
 * @param {import('../types').Mark | undefined} mark
 * @param {any} result
 */
function verdict(mark = {}, result) {
  const each = Object.entries(mark).map(([name, limit]) => {
    const values = {
      ...result.figures,
      ...result,
      cpu: result.cpu.median,
      ratio: result.cpuRatio,
      p50Above: result.p50 - result.reference.p50,
    };
    const value = values[name];

    return `${name} ≤ ${limit} ${value <= limit ? 'yes' : 'no'}`;
  });

  return each.join(', ');
}

/** @param {number} value - with at least three digits. */
function number(value) {
  const digits = value >= 100 ? 0 : value >= 10 ? 1 : 2;

  return value.toLocaleString('en', {
    minimumFractionDigits: digits,
    maximumFractionDigits: digits,
  });
}

exports.jsonLine = jsonLine;
exports.machineOf = machineOf;
exports.machineText = machineText;
exports.number = number;
exports.parse = parse;
exports.table = table;
