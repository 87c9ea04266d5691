'use strict';

// The Workers of this copy of the package, and the summed counters of those that have ended. Every application loads
// this file; the rest of this folder is loaded only for metrics.

/** @import { Core } from '../Core' */
/** @import { WorkerMetrics } from '../answers' */

/**
 * A Worker whose thread has not ended.
 *
 * @typedef {object} Live
 * @property {number} pid
 * @property {Core<import('../../native/binding').Worker>} core
 * @property {WorkerMetrics} [last] - its last answer.
 */

/** @type {Set<Live>} */
const workers = new Set();
/**
 * The summed counters of Workers whose threads have ended.
 *
 * @type {Partial<WorkerMetrics>}
 */
const ended = {};

/**
 * Counts a Worker from now on.
 *
 * @param {Live['core']} core
 * @param {number} pid
 * @returns {(last: WorkerMetrics | null) => void} to be called once its thread has ended; without metrics if it died,
 * which loses its counts since it was last asked.
 */
function track(core, pid) {
  /** @type {Live} */
  const live = { core, pid };

  workers.add(live);
  return (last) => {
    workers.delete(live);
    add(ended, last ?? live.last ?? {});
  };
}

/**
 * Adds numbers, including those in members and arrays.
 *
 * @param {Record<string, any>} total
 * @param {Record<string, any>} other
 */
function add(total, other) {
  for (const [name, value] of Object.entries(other)) {
    if (typeof value === 'number') {
      total[name] = (total[name] ?? 0) + value;
    } else if (name === 'bounds') {
      total[name] = value;
    } else {
      add((total[name] ??= Array.isArray(value) ? [] : {}), value);
    }
  }
}

exports.add = add;
exports.ended = ended;
exports.track = track;
exports.workers = workers;
