'use strict';

const { clusters, ended: endedClusters } = require('./clusters');
const { Totals } = require('./Totals');
const { ended, workers } = require('./workers');

/** @import { WorkerMetrics } from '../answers' */
/** @import { ClusterCounters } from '../cluster/types' */
/** @import { Live } from './workers' */

/** @type {Promise<Totals> | undefined} */
let gathering;

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

  if (ended.turns) {
    totals.addCounters(/** @type {WorkerMetrics} */ (ended));
  }
  for (const { core, pid, last } of workers) {
    // Until its thread ends, a closed Worker has counters, but no current amounts.
    totals.addCounters(last);
    if (!core.closed) {
      totals.addWorker(pid, last);
    }
  }
  if (endedClusters.controlSent) {
    totals.addClusterCounters(/** @type {ClusterCounters} */ (endedClusters));
  }
  for (const { pid, counters, gauges } of clusters) {
    totals.addClusterCounters(counters());
    totals.addCluster(pid, gauges());
  }
  return totals;
}

/** @param {Live} live */
async function refresh(live) {
  try {
    live.last = await live.core.ask('worker.getMetrics', (native, id) => native.getMetrics(id));
  } catch {
    // The Worker is closed: its last answer counts.
  }
}

exports.gather = gather;
