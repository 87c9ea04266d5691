/** A registry of the package 'prom-client': what is used of it, so that these types need neither package. */
export type PrometheusRegistry = {
  registerMetric(metric: any): void;
  getSingleMetric(name: string): unknown;
};

/** A meter of the package '@opentelemetry/api'. */
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
 * Adds the metrics of datasoup to a registry of prom-client (14 or later, an optional peer dependency). They are of all
 * Workers of this thread of Node.js, those made before and after the call. Counters include what closed Workers and
 * other closed objects have counted, so they never fall.
 *
 * Whenever the registry is asked for its metrics, each Worker is asked once, whatever the number of its objects. A
 * registry that has the metrics already is left as it is.
 *
 * docs/metrics.md lists the metrics.
 *
 * @throws TypeError if `registry` is not a registry.
 * @throws Error if prom-client is not installed and `registry` not given, or if the registry has another metric with
 * the name of one of these.
 */
export function prometheus(options?: PrometheusOptions): void;

/**
 * The same metrics for a meter of OpenTelemetry ('@opentelemetry/api' 1.3 or later, an optional peer dependency). Names
 * have dots: `datasoup.messages.sent`.
 *
 * OpenTelemetry's histograms take single values only: what was counted since the last collection is recorded as the
 * middle of its bucket, in at most about 1,000 values. So their sums are estimates; those of `prometheus()` are exact.
 *
 * @throws TypeError if `meter` is not a meter.
 * @throws Error if '@opentelemetry/api' is not installed and `meter` not given.
 */
export function openTelemetry(options?: OpenTelemetryOptions): void;
