'use strict';

// The plots in docs/plots, as SVG.

const { bars, lines } = require('./svg');

/** @typedef {{ row: Pick<import('../types').Row, 'name' | 'title' | 'group'>, [figure: string]: any }} Result */

/** Groups of rows that do not measure the cost of a message. */
const NOT_COMPARED = ['latency', 'scale'];

/**
 * @param {Result[]} results
 * @returns {[string, string][]} name and SVG of each plot that has results.
 */
function plots(results) {
  const measured = results.filter(({ error }) => !error);
  const of = (/** @type {string} */ name) =>
    measured.filter(({ row: { group } }) => group?.name === name);
  const compared = measured.filter(
    ({ row: { group } }) => !NOT_COMPARED.includes(`${group?.name}`),
  );
  const latency = groupBy(of('latency'), ({ row }) => `${row.group?.path}`);

  return [
    ...(compared.length > 0 ? [plot('ratios', ratios(compared))] : []),
    ...[...groupBy(of('fan-out'), ({ row }) => `${row.group?.size}`)].map(([size, each]) =>
      plot(`fan-out-${size}`, fanOut(size, each)),
    ),
    ...[...latency].map(([path, each]) =>
      plot(path.endsWith('WebRTC') ? 'latency-webrtc' : 'latency-direct', latencyOf(path, each)),
    ),
    ...(of('idle').length > 0 ? [plot('idle', idle(of('idle')))] : []),
  ];
}

/**
 * @param {string} name
 * @param {string} svg
 * @returns {[string, string]}
 */
function plot(name, svg) {
  return [name, svg];
}

/** @param {Result[]} results */
function ratios(results) {
  return bars({
    title: 'CPU time relative to the reference',
    unit: 'below 1: less than the reference',
    bars: results.map(({ row, cpuRatio }) => ({ label: row.name, value: cpuRatio })),
  });
}

/**
 * @param {string} size
 * @param {Result[]} results
 */
function fanOut(size, results) {
  const consumers = distinct(results.map(({ row }) => Number(row.group?.consumers)));
  const at = (/** @type {string} */ clients) =>
    consumers.map((count) =>
      results.find(({ row }) => row.group?.clients === clients && row.group.consumers === count),
    );

  return lines({
    title: `Fan-out to WebRTC, ${size} B: CPU time of the server per delivered message`,
    unit: 'CPU µs',
    categories: 'consumers',
    labels: consumers.map(String),
    series: [
      { name: 'to light clients', values: at('light').map((row) => row?.cpu.median) },
      { name: 'to libdatachannel', values: at('libdatachannel').map((row) => row?.cpu.median) },
      {
        name: 'node-datachannel as server',
        values: at('libdatachannel').map((row) => row?.reference.cpu.median),
      },
    ],
  });
}

/**
 * @param {string} path
 * @param {Result[]} results
 */
function latencyOf(path, results) {
  return lines({
    title: `Latency, ${path}`,
    unit: 'µs',
    categories: 'load, relative to the maximum',
    labels: results.map(({ row }) => `${Number(row.group?.part) * 100} %`),
    series: quantiles(results),
  });
}

/** @param {Result[]} results */
function idle(results) {
  return lines({
    title: 'Round trip of one client next to idle transports',
    unit: 'µs',
    categories: 'idle transports',
    labels: [
      'none',
      ...results.map(({ row }) => Number(row.group?.transports).toLocaleString('en')),
    ],
    series: quantiles([results[0].reference, ...results]),
  });
}

/** @param {any[]} figures */
function quantiles(figures) {
  return [
    { name: 'p50', values: figures.map(({ p50 }) => p50) },
    { name: 'p99', values: figures.map(({ p99 }) => p99) },
    { name: 'p99.9', values: figures.map(({ p999 }) => p999) },
  ];
}

/**
 * @template T
 * @param {T[]} values
 * @param {(value: T) => string} keyOf
 */
function groupBy(values, keyOf) {
  /** @type {Map<string, T[]>} */
  const groups = new Map();

  for (const value of values) {
    const key = keyOf(value);

    groups.set(key, [...(groups.get(key) ?? []), value]);
  }
  return groups;
}

/** @param {number[]} values */
function distinct(values) {
  return [...new Set(values)].sort((a, b) => a - b);
}

exports.plots = plots;
