'use strict';

// The process of one row: runs the row and its reference alternately, and answers with the figures.

const { measure } = require('./measure');
const { answerOnce } = require('./processes/runInProcess');
const rows = require('./rows');
const { median, quantile, sum } = require('./statistics');

/**
 * The number of items and of clients.
 *
 * @type {Record<import('./types').Extent, Pick<import('./types').Context, 'scale' | 'fleet'>>}
 */
const EXTENTS = {
  full: { scale: (count) => count, fleet: (count) => count },
  quick: { scale: (count) => Math.ceil(count / 10), fleet: (count) => Math.min(count, 100) },
  smoke: { scale: (count) => Math.min(count, 100), fleet: (count) => Math.min(count, 3) },
};

/** @typedef {import('./types').Measured} Measured */

/** @param {{ name: string, runs: number, extent: import('./types').Extent, impl: string }} order */
async function measureRow({ name, runs, extent, impl }) {
  const row = rows.find((each) => each.name === name);

  if (!row) {
    throw new Error(`unknown row '${name}'`);
  }

  const api = require(impl);
  const { workers, reference, ...load } = await row.prepare({ api, ...EXTENTS[extent] });
  const measured = [];
  const referenceMeasured = [];

  if (!row.cold) {
    await reference.run();
    await load.run();
  }
  for (let index = 0; index < runs; index++) {
    referenceMeasured.push(await measureLoad(reference, reference.workers));
    measured.push(await measureLoad(load, workers));
  }
  await reference.close();
  await load.close();

  const figures = summary(measured);
  const referenceFigures = summary(referenceMeasured);

  return {
    ...figures,
    reference: { name: reference.name, ...referenceFigures },
    cpuRatio: figures.cpu.median / referenceFigures.cpu.median,
    leastCpuRatio: figures.cpu.min / referenceFigures.cpu.min,
    rateRatio: figures.perSecond / referenceFigures.perSecond,
  };
}

/**
 * @param {import('./types').Load} load
 * @param {{ pid: number }[]} [workers]
 * @returns {Promise<Measured>}
 */
async function measureLoad({ before, run, after }, workers) {
  await before?.();

  const measured = await measure(run, workers);
  const figures = await after?.();

  return figures ? { ...measured, figures: { ...measured.figures, ...figures } } : measured;
}

/**
 * The medians, and the least CPU time, because other load on the machine can only add to it.
 *
 * @param {Measured[]} runs
 */
function summary(runs) {
  const cpu = runs.map(({ cpuMicros, items }) => cpuMicros / items);
  const latencies = runs.flatMap((run) => (run.latencies?.length ? [run.latencies] : []));
  const latency = (/** @type {number} */ part) =>
    median(latencies.map((each) => quantile(each, part)));

  return {
    runs: runs.length,
    items: runs[0].items,
    lost: sum(runs.map(({ lost = 0 }) => lost)),
    disordered: sum(runs.map(({ disordered = 0 }) => disordered)),
    perSecond: median(runs.map(({ items, wallMicros }) => items / (wallMicros / 1e6))),
    cpu: { median: median(cpu), min: Math.min(...cpu), max: Math.max(...cpu) },
    workerCpu: median(runs.map(({ workerMicros = 0, items }) => workerMicros / items)),
    ...(latencies.length > 0 && { p50: latency(0.5), p99: latency(0.99), p999: latency(0.999) }),
    ...(runs[0].figures && { figures: figuresOf(runs) }),
  };
}

/** @param {Measured[]} runs */
function figuresOf(runs) {
  const names = Object.keys(runs[0].figures ?? {});

  return Object.fromEntries(
    names.map((name) => [
      name,
      median(runs.flatMap(({ figures }) => (figures && name in figures ? [figures[name]] : []))),
    ]),
  );
}

answerOnce(measureRow);
