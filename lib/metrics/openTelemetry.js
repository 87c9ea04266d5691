'use strict';

const { version } = require('../../package.json');
const validate = require('../options/validate');

const { CATALOG } = require('./catalog');
const { gather } = require('./gather');
const { peerDependency } = require('./peerDependency');

/** @import { Histogram } from '../answers' */
/** @import { Metric } from './catalog' */
/** @import { Totals } from './Totals' */

/**
 * How many durations of a histogram are recorded at a time, beside one for each bucket. OpenTelemetry takes only single
 * durations, so each duration counted since the last time is recorded again; if there are more than this, an even
 * sample of them.
 */
const MAX_RECORDS = 1000;

const METHODS = [
  'createObservableCounter',
  'createObservableUpDownCounter',
  'createHistogram',
  'addBatchObservableCallback',
];

/**
 * The meters that have the metrics.
 *
 * @type {WeakSet<object>}
 */
const meters = new WeakSet();

/** @param {import('../../subpaths/metrics').OpenTelemetryOptions} [options] */
function openTelemetry(options) {
  const given = validate.object(options, 'options');
  const meter = validate.given(given.meter)
    ? checked(given.meter)
    : peerDependency('@opentelemetry/api', 'meter').metrics.getMeter('datasoup', version);

  if (meters.has(meter)) {
    return;
  }
  meters.add(meter);

  const numbers = CATALOG.filter(({ type }) => type !== 'histogram').map(
    (metric) => /** @type {const} */ ([metric, observable(meter, metric)]),
  );
  const histograms = CATALOG.filter(({ type }) => type === 'histogram').map(
    (metric) => new Recorder(meter, metric),
  );
  const observables = numbers.map(([, instrument]) => instrument);

  meter.addBatchObservableCallback(async (/** @type {any} */ result) => {
    const totals = await gather();

    for (const [metric, instrument] of numbers) {
      for (const { labels, value } of totals.of(metric)) {
        result.observe(instrument, value, labels);
      }
    }
    for (const recorder of histograms) {
      recorder.record(totals);
    }
  }, observables);
}

/**
 * @param {any} meter
 * @param {Metric} metric
 */
function observable(meter, { name, type, unit, description }) {
  return type === 'counter'
    ? meter.createObservableCounter(name, { unit, description })
    : meter.createObservableUpDownCounter(name, { unit, description });
}

/** Records what a histogram has counted since the last time. */
class Recorder {
  #meter;
  #metric;
  /** @type {any} */
  #instrument;
  /**
   * How much of each bucket has been recorded, by labels.
   *
   * @type {Map<string, number[]>}
   */
  #recorded = new Map();

  /**
   * @param {any} meter
   * @param {Metric} metric
   */
  constructor(meter, metric) {
    this.#meter = meter;
    this.#metric = metric;
  }

  /** @param {Totals} totals */
  record(totals) {
    for (const { labels, value } of totals.of(this.#metric)) {
      const { bounds, counts } = /** @type {Histogram} */ (value);
      const key = Object.values(labels).join();
      const before = this.#recorded.get(key) ?? [];
      // Fewer than before: a new Worker has the thread id of one that has ended.
      const added = counts.map((count, index) =>
        count < (before[index] ?? 0) ? count : count - (before[index] ?? 0),
      );
      const part = Math.min(1, MAX_RECORDS / added.reduce((sum, count) => sum + count, 0));

      this.#recorded.set(key, counts);
      for (const [index, count] of added.entries()) {
        const duration = middle(bounds, index);

        for (let left = Math.ceil(count * part); left > 0; left--) {
          this.#histogram(bounds).record(duration, labels);
        }
      }
    }
  }

  /**
   * Made once the bounds are known.
   *
   * @param {number[]} bounds
   */
  #histogram(bounds) {
    const { name, unit, description } = this.#metric;

    this.#instrument ??= this.#meter.createHistogram(name, {
      unit,
      description,
      advice: { explicitBucketBoundaries: bounds },
    });
    return this.#instrument;
  }
}

/**
 * @param {number[]} bounds
 * @param {number} index
 * @returns {number} a duration that represents this bucket.
 */
function middle(bounds, index) {
  const lower = bounds[index - 1] ?? 0;

  return (lower + (bounds[index] ?? 3 * lower)) / 2;
}

/** @param {any} meter */
function checked(meter) {
  if (!METHODS.every((method) => typeof meter[method] === 'function')) {
    throw validate.wrong('meter', meter, "a Meter of the package '@opentelemetry/api'");
  }
  return meter;
}

exports.openTelemetry = openTelemetry;
