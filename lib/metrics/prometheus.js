'use strict';

const validate = require('../options/validate');

const { CATALOG, prometheusName } = require('./catalog');
const { gather } = require('./gather');
const { peerDependency } = require('./peerDependency');

/** @import { Metric } from './catalog' */
/** @import { Point } from './Totals' */

/**
 * A value as prom-client's registry takes it. `metricName` is given where it is not the metric's own.
 *
 * @typedef {{ labels: Record<string, string | number>, value: number, metricName?: string }} Sample
 */

/**
 * A metric whose values come from Workers or Clusters, with the interface that prom-client's registry expects.
 * prom-client's own classes do not fit, because their histograms take only single observations.
 */
class PrometheusMetric {
  #metric;

  /** @param {Metric} metric */
  constructor(metric) {
    const ofOne = metric.scope === 'worker' || metric.scope === 'cluster';

    this.#metric = metric;
    // The registry changes the name when it writes the OpenMetrics format.
    this.name = prometheusName(metric);
    this.help = metric.description;
    this.type = metric.type;
    this.aggregator = 'sum';
    this.labelNames = [ofOne && 'worker', metric.label].filter(Boolean);
  }

  /** Called for each scrape. */
  async get() {
    const { name, help, type, aggregator } = this;
    const totals = await gather();
    const values = Array.from(totals.of(this.#metric), (point) => samples(name, point)).flat();

    return { name, help, type, aggregator, values };
  }

  /** Workers and Clusters count on: `registry.resetMetrics()` leaves their counters as they are. */
  reset() {}
}

/**
 * @param {string} name
 * @param {Point} point
 * @returns {Sample[]}
 */
function samples(name, { labels, value }) {
  if (typeof value === 'number') {
    return [{ labels: { ...labels }, value }];
  }

  const { bounds, counts, sum } = value;
  /** @type {Sample[]} */
  const buckets = [];
  let count = 0;

  for (const [index, each] of counts.entries()) {
    count += each;
    buckets.push({
      labels: { ...labels, le: bounds[index] ?? '+Inf' },
      value: count,
      metricName: `${name}_bucket`,
    });
  }
  return [
    ...buckets,
    { labels: { ...labels }, value: sum, metricName: `${name}_sum` },
    { labels: { ...labels }, value: count, metricName: `${name}_count` },
  ];
}

/** @param {import("../../subpaths/metrics").PrometheusOptions} [options] */
function prometheus(options) {
  const given = validate.object(options, 'options');
  const registry = validate.given(given.registry)
    ? checked(given.registry)
    : peerDependency('prom-client', 'registry').register;
  const metrics = CATALOG.map((metric) => new PrometheusMetric(metric));
  const missing = metrics.filter(({ name }) => !isOurs(registry.getSingleMetric(name), name));

  for (const metric of missing) {
    registry.registerMetric(metric);
  }
}

/** @param {any} registry */
function checked(registry) {
  if (!['registerMetric', 'getSingleMetric'].every((it) => typeof registry[it] === 'function')) {
    throw validate.wrong('registry', registry, "a Registry of the package 'prom-client'");
  }
  return registry;
}

/**
 * @param {unknown} registered - undefined if there is nothing with this name.
 * @param {string} name
 * @returns {boolean}
 */
function isOurs(registered, name) {
  if (registered === undefined || registered instanceof PrometheusMetric) {
    return registered !== undefined;
  }
  throw new Error(
    `the registry already has a metric ${name} that this copy of datasoup did not create`,
  );
}

exports.prometheus = prometheus;
