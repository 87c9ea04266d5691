/**
 * A registry of the package 'prom-client', with only the members that are used, so that these types do not need that
 * package.
 */
export type PrometheusRegistry = {
  registerMetric(metric: any): void;
  getSingleMetric(name: string): unknown;
};

/** A meter of the package '@opentelemetry/api', with only the members that are used. */
export type OpenTelemetryMeter = {
  createObservableCounter(name: string, options?: object): unknown;
  createObservableUpDownCounter(name: string, options?: object): unknown;
  createHistogram(name: string, options?: object): unknown;
  addBatchObservableCallback(
    callback: (result: any) => Promise<void> | void,
    observables: any[],
  ): void;
};

export type PrometheusOptions = {
  /** Default: `register` of 'prom-client', its default registry. */
  registry?: PrometheusRegistry;
};

export type OpenTelemetryOptions = {
  /** Default: `metrics.getMeter('datasoup')` of '@opentelemetry/api'. */
  meter?: OpenTelemetryMeter;
};

/**
 * Adds the metrics of datasoup to a registry of prom-client (14 or later, an optional peer dependency). docs/metrics.md
 * lists them. They cover all Workers and Clusters of this thread of Node.js, whether created before or after the call.
 * Counters include what closed Workers and other closed objects had counted, so they never fall.
 *
 * Each time the registry is asked for its metrics, each Worker is asked once, whatever the number of its objects. A
 * registry that already has the metrics is left as it is.
 *
 * @throws TypeError: `registry` is not a registry.
 * @throws Error: prom-client is not installed and `registry` is not given, or the registry has another metric with one
 * of these names.
 */
export function prometheus(options?: PrometheusOptions): void;

/**
 * Adds the same metrics as `prometheus()` to a meter of OpenTelemetry ('@opentelemetry/api' 1.3 or later, an optional
 * peer dependency). Names have dots: `datasoup.messages.sent`.
 *
 * OpenTelemetry's histograms take only single values. What was counted since the last collection is therefore recorded
 * as the middle of its bucket, in at most about 1,000 values, so sums are estimates; those of `prometheus()` are exact.
 *
 * @throws TypeError: `meter` is not a meter.
 * @throws Error: '@opentelemetry/api' is not installed and `meter` is not given.
 */
export function openTelemetry(options?: OpenTelemetryOptions): void;
