'use strict';

// The Clusters of this copy of the package, and the summed counters of closed ones.

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
 * The summed counters of closed Clusters.
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
