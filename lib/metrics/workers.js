'use strict';

// The Workers of this copy of the package, and what they and those that have ended have counted together.

const { Totals } = require('./Totals');

/** @import { Core } from '../Core' */
/** @import { WorkerMetrics } from '../answers' */

/**
 * A Worker whose thread has not ended.
 *
 * @typedef {object} Live
 * @property {number} pid
 * @property {Core<import('../../native/binding').Worker>} core
 * @property {WorkerMetrics} [last] - what it has said last.
 */

/** @type {Set<Live>} */
const workers = new Set();
/** What the Workers whose threads have ended had counted. */
const ended = new Totals();
/** @type {Promise<Totals> | undefined} */
let gathering;

/**
 * Counts a Worker from now on.
 *
 * @param {Live['core']} core
 * @param {number} pid
 * @returns {(last: WorkerMetrics | null) => void} to be called once its thread has ended; without metrics if it died:
 * then what it has counted since it was last asked is lost.
 */
function track(core, pid) {
  /** @type {Live} */
  const live = { core, pid };

  workers.add(live);
  return (last) => {
    workers.delete(live);
    ended.addCounters(last ?? live.last);
  };
}

/**
 * Asks each Worker once, however often this is called until all have answered.
 *
 * @returns {Promise<Totals>}
 */
function gather() {
  gathering ??= ask().finally(() => (gathering = undefined));
  return gathering;
}

async function ask() {
  await Promise.all(Array.from(workers, refresh));

  const totals = new Totals();

  totals.add(ended);
  for (const { core, pid, last } of workers) {
    // A closed Worker has counters until its thread ends, and nothing else.
    totals.addCounters(last);
    if (!core.closed) {
      totals.addWorker(pid, last);
    }
  }
  return totals;
}

/** @param {Live} live */
async function refresh(live) {
  try {
    live.last = await live.core.ask('worker.getMetrics', (native, id) => native.getMetrics(id));
  } catch {
    // It is closed, or has closed meanwhile.
  }
}

exports.track = track;
exports.gather = gather;
