'use strict';

const { CATALOG } = require('./catalog');

/** @import { Histogram, WorkerMetrics } from '../answers' */
/** @import { ClusterCounters, ClusterGauges } from '../cluster/types' */
/** @import { Metric, Scope, Value } from './catalog' */

/**
 * A value of a metric: of one Worker or Cluster, or of all.
 *
 * @typedef {object} Point
 * @property {Record<string, string>} labels
 * @property {Value} value
 */

/** The values of all metrics at some time. */
class Totals {
  /** @type {Map<Metric, Map<string, Point>>} */
  #points = new Map();

  /**
   * Adds counters that are summed over all Workers.
   *
   * @param {WorkerMetrics | undefined} metrics
   */
  addCounters(metrics) {
    if (metrics) {
      this.#addAll(metrics, 'workers', {});
    }
  }

  /**
   * Adds the values of one open Worker.
   *
   * @param {number} pid
   * @param {WorkerMetrics | undefined} metrics - undefined if it has not answered yet.
   */
  addWorker(pid, metrics) {
    if (metrics) {
      this.#addAll(metrics, 'worker', { worker: `${pid}` });
    }
  }

  /**
   * Adds counters that are summed over all Clusters.
   *
   * @param {ClusterCounters} counters
   */
  addClusterCounters(counters) {
    this.#addAll(counters, 'clusters', {});
  }

  /**
   * Adds an open Cluster.
   *
   * @param {number} pid - of the Worker of its gateway.
   * @param {ClusterGauges} gauges
   */
  addCluster(pid, gauges) {
    this.#addAll(gauges, 'cluster', { worker: `${pid}` });
  }

  /**
   * @param {Metric} metric
   * @returns {Iterable<Point>}
   */
  of(metric) {
    return this.#points.get(metric)?.values() ?? [];
  }

  /**
   * @param {WorkerMetrics | ClusterCounters | ClusterGauges} metrics
   * @param {Scope} scope
   * @param {Record<string, string>} labels
   */
  #addAll(metrics, scope, labels) {
    for (const metric of CATALOG) {
      const { label } = metric;
      const value = metric.scope === scope ? metric.read(metrics) : undefined;

      if (value !== undefined && label === undefined) {
        this.#add(metric, labels, /** @type {Value} */ (value));
      } else if (value !== undefined) {
        for (const [name, each] of Object.entries(value)) {
          this.#add(metric, { ...labels, [/** @type {string} */ (label)]: name }, each);
        }
      }
    }
  }

  /**
   * @param {Metric} metric
   * @param {Record<string, string>} labels
   * @param {Value} value
   */
  #add(metric, labels, value) {
    const points = this.#points.get(metric) ?? new Map();
    const key = Object.values(labels).join();
    const point = points.get(key);

    this.#points.set(metric, points.set(key, { labels, value: sum(point?.value, value) }));
  }
}

/**
 * @param {Value | undefined} a
 * @param {Value} b
 * @returns {Value}
 */
function sum(a, b) {
  if (a === undefined) {
    return b;
  }
  if (typeof a === 'number') {
    return a + /** @type {number} */ (b);
  }

  const other = /** @type {Histogram} */ (b);

  return {
    bounds: a.bounds,
    counts: a.counts.map((count, index) => count + other.counts[index]),
    sum: a.sum + other.sum,
  };
}

exports.Totals = Totals;
