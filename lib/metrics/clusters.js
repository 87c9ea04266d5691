'use strict';

// The Clusters of this copy of the package, and what those that are closed have counted together.

const { add } = require('./workers');

/** @import { ClusterCounters, ClusterGauges } from '../cluster/types' */

/**
 * An open Cluster.
 *
 * @typedef {object} Live
 * @property {number} pid - of the Worker of its gateway.
 * @property {() => ClusterCounters} counters
 * @property {() => ClusterGauges} gauges
 */

/** @type {Set<Live>} */
const clusters = new Set();
/**
 * What the Clusters that are closed had counted.
 *
 * @type {Partial<ClusterCounters>}
 */
const ended = {};

/**
 * Counts a Cluster from now on.
 *
 * @param {Live} live
 * @returns {() => void} to be called once, when it is closed.
 */
function track(live) {
  clusters.add(live);
  return () => {
    clusters.delete(live);
    add(ended, live.counters());
  };
}

exports.clusters = clusters;
exports.ended = ended;
exports.track = track;
