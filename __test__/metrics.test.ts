import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import * as path from 'node:path';

import { metrics as otel } from '@opentelemetry/api';
import {
  AggregationTemporality,
  DataPointType,
  InMemoryMetricExporter,
  MeterProvider,
  PeriodicExportingMetricReader,
  type MetricData,
} from '@opentelemetry/sdk-metrics';
import * as promClient from 'prom-client';

// This import must precede that of the package, because the helper wraps the addon before the package loads it.
import { createMortalWorker } from './helpers/panic';
import * as datasoup from '..';
import type { types } from '..';
import { createCluster, memoryBus, type Cluster } from '../subpaths/cluster';
import { cpuOfWorker } from '../bench/measure';
import { openTelemetry, prometheus } from '../subpaths/metrics';
import './helpers/closeWorkers';
import { runNode, ROOT } from './helpers/process';
import { startServer } from './helpers/server';
import { nextEvent } from './helpers/wait';

/** The values of a scrape, by `name{label="value"}`. */
type Scrape = Map<string, number>;

let workers: types.Worker[] = [];

async function createWorker(settings?: types.WorkerSettings): Promise<types.Worker> {
  const worker = await datasoup.createWorker(settings);
  workers.push(worker);
  return worker;
}

let clusters: Cluster[] = [];

async function openCluster(): Promise<void> {
  const secret = 'a secret of more than thirty-two bytes';
  const listenInfo = { protocol: 'udp', ip: '127.0.0.1' } as const;
  clusters.push(await createCluster({ bus: memoryBus(), secret, listenInfo }));
}

afterEach(async () => {
  for (const cluster of clusters.splice(0)) await cluster.close();
  // Counts since the last scrape are added when the thread of a Worker has ended.
  for (const worker of workers.splice(0).filter(({ subprocessClosed }) => !subprocessClosed)) {
    const ended = nextEvent(worker, 'subprocessclose');
    worker.close();
    await ended;
  }
});

function newRegistry(): promClient.Registry {
  const registry = new promClient.Registry();
  prometheus({ registry });
  return registry;
}

async function scrape(registry: promClient.Registry): Promise<Scrape> {
  const lines = (await registry.metrics()).split('\n').filter((line) => /^[^#]/.test(line));
  return new Map(
    lines.map((line) => {
      const [, name = '', value] = /^(.+) (\S+)$/.exec(line) ?? [];
      return [name, Number(value)];
    }),
  );
}

/** The sum of the values of this metric, whatever their labels. */
function sum(values: Scrape, name: string): number {
  const of = [...values].filter(([key]) => key === name || key.startsWith(`${name}{`));
  return of.reduce((total, [, value]) => total + value, 0);
}

/** Sends messages of 10 bytes from a DataProducer to a DataConsumer of the worker, and waits until all are there. */
async function send(worker: types.Worker, count: number): Promise<types.DirectTransport> {
  const router = await worker.createRouter();
  const transport = await router.createDirectTransport();
  const dataProducer = await transport.produceData();
  const dataConsumer = await transport.consumeData({ dataProducerId: dataProducer.id });
  let received = 0;
  dataConsumer.on('message', () => received++);
  for (let sent = 0; sent < count; sent++) {
    dataProducer.send(Buffer.alloc(10));
  }
  while (received < count) {
    await nextEvent(dataConsumer, 'message');
  }
  return transport;
}

describe('prometheus({ registry })', () => {
  test('has the counters and gauges of Workers made before and after the call', async () => {
    const before = await createWorker();
    await send(before, 3);
    const registry = newRegistry();
    const first = await scrape(registry);
    const after = await createWorker();
    await send(after, 4);
    const second = await scrape(registry);
    const grown = (name: string): number => sum(second, name) - sum(first, name);
    expect(grown('datasoup_messages_received_total')).toBe(4);
    expect(grown('datasoup_payload_received_bytes_total')).toBe(40);
    expect(grown('datasoup_messages_sent_total')).toBe(4);
    expect(grown('datasoup_payload_sent_bytes_total')).toBe(40);
    expect(sum(first, 'datasoup_messages_received_total')).toBeGreaterThanOrEqual(3);
    for (const { pid } of [before, after]) {
      expect(second.get(`datasoup_workers{worker="${pid}"}`)).toBe(1);
      const cpu = 'datasoup_worker_cpu_time_seconds_total';
      const modes = ['user', 'system'].map((mode) => `${cpu}{worker="${pid}",mode="${mode}"}`);
      const [user, system] = modes.map((key) => second.get(key) ?? NaN);
      expect(user! + system!).toBeGreaterThan(0);
      expect(second.get(`datasoup_routers{worker="${pid}"}`)).toBe(1);
      expect(second.get(`datasoup_transports{worker="${pid}",type="direct"}`)).toBe(1);
      expect(second.get(`datasoup_data_producers{worker="${pid}"}`)).toBe(1);
      expect(second.get(`datasoup_data_consumers{worker="${pid}"}`)).toBe(1);
      expect(
        second.get(`datasoup_worker_turn_duration_seconds_count{worker="${pid}"}`),
      ).toBeGreaterThan(0);
    }
  });

  test('counters keep what closed objects and closed Workers have counted, and their gauges go', async () => {
    const registry = newRegistry();
    const start = sum(await scrape(registry), 'datasoup_messages_sent_total');
    const worker = await createWorker();
    const sent = async (): Promise<number> =>
      sum(await scrape(registry), 'datasoup_messages_sent_total') - start;
    const transport = await send(worker, 5);
    expect(await sent()).toBe(5);
    transport.close();
    expect(await sent()).toBe(5);
    // Counts after the last scrape are not lost.
    await send(worker, 2);
    const ended = nextEvent(worker, 'subprocessclose');
    worker.close();
    expect(await sent()).toBeGreaterThanOrEqual(5);
    await ended;
    expect(await sent()).toBe(7);
    const values = await scrape(registry);
    expect([...values.keys()].filter((it) => it.includes(`worker="${worker.pid}"`))).toEqual([]);
  });

  test('histograms keep the buckets of Workers that have ended', async () => {
    const registry = newRegistry();
    const buckets = async (): Promise<[string, number][]> =>
      [...(await scrape(registry))].filter(([key]) =>
        /^datasoup_queue_delay_seconds_bucket.*to="javascript"/.test(key),
      );
    const two = [await createWorker(), await createWorker()];
    const before = await buckets();
    for (const worker of two) {
      await send(worker, 640);
      const ended = nextEvent(worker, 'subprocessclose');
      worker.close();
      await ended;
    }
    const after = await buckets();
    expect(after.map(([key]) => key)).toEqual(before.map(([key]) => key));
    expect(after.at(-1)![1] - before.at(-1)![1]).toBe(20);
  });

  test('the counters of a Worker that dies stay as they were at the last scrape', async () => {
    const registry = newRegistry();
    const start = sum(await scrape(registry), 'datasoup_messages_sent_total');
    const { worker, panic } = await createMortalWorker();
    worker.on('died', () => {});
    await send(worker, 5);
    await registry.metrics();
    const ended = nextEvent(worker, 'subprocessclose');
    panic();
    await ended;
    const values = await scrape(registry);
    expect(sum(values, 'datasoup_messages_sent_total') - start).toBe(5);
    expect([...values.keys()].filter((it) => it.includes(`worker="${worker.pid}"`))).toEqual([]);
  });

  test('two registries have the same values, and a registry given twice has them once', async () => {
    const [one, other] = [newRegistry(), newRegistry()];
    prometheus({ registry: one });
    await send(await createWorker(), 3);
    const names = ['datasoup_messages_sent_total', 'datasoup_payload_sent_bytes_total'];
    const values = [await scrape(one), await scrape(other)];
    const [first, second] = values.map((it) => names.map((name) => sum(it, name)));
    expect(first).toEqual(second);
  });

  test('a registry that was cleared gets them again', async () => {
    const registry = newRegistry();
    registry.clear();
    expect(await registry.metrics()).not.toContain('datasoup_');
    prometheus({ registry });
    expect(await registry.metrics()).toContain('datasoup_messages_sent_total');
  });

  test('without a registry fills the default one', async () => {
    prometheus();
    await createWorker();
    expect(await promClient.register.metrics()).toContain('datasoup_workers{worker=');
    promClient.register.clear();
  });

  test('histograms are cumulative, and end with their count', async () => {
    const registry = newRegistry();
    const { pid } = await createWorker();
    // A turn counts once it has ended.
    await registry.metrics();
    const values = await scrape(registry);
    const name = 'datasoup_worker_turn_duration_seconds';
    const buckets = [...values].filter(([key]) => key.startsWith(`${name}_bucket{worker="${pid}"`));
    const counts = buckets.map(([, value]) => value);
    expect(counts).toEqual([...counts].sort((a, b) => a - b));
    expect(buckets.at(-1)?.[0]).toContain('le="+Inf"');
    expect(counts.at(-1)).toBe(values.get(`${name}_count{worker="${pid}"}`));
    expect(values.get(`${name}_sum{worker="${pid}"}`)).toBeGreaterThan(0);
  });

  test('one message in 64 for JavaScript counts how long it has waited', async () => {
    const registry = newRegistry();
    const name = 'datasoup_queue_delay_seconds_count{to="javascript"}';
    const worker = await createWorker();
    const before = (await scrape(registry)).get(name) ?? NaN;
    await send(worker, 640);
    expect((await scrape(registry)).get(name)).toBe(before + 10);
  });

  test.each<
    [string, Partial<types.DataConsumerOptions>, (of: types.DataConsumer) => Promise<void>]
  >([
    ['a DataConsumer with a policy', { overflow: 'drop-oldest' }, listened],
    ['an iterator', {}, iterated],
  ])('and so does one in 64 of %s', async (_title, options, receive) => {
    const registry = newRegistry();
    const worker = await createWorker();
    const transport = await (await worker.createRouter()).createDirectTransport();
    const dataProducer = await transport.produceData();
    const { id: dataProducerId } = dataProducer;
    const dataConsumer = await transport.consumeData({ dataProducerId, ...options });
    const delays = async (what: 'count' | 'sum'): Promise<number> =>
      (await scrape(registry)).get(`datasoup_queue_delay_seconds_${what}{to="javascript"}`) ?? NaN;
    const [count, sum] = [await delays('count'), await delays('sum')];
    const received = receive(dataConsumer);
    for (let sent = 0; sent < 640; sent++) {
      dataProducer.send('x');
    }
    await received;
    expect(await delays('count')).toBe(count + 10);
    expect(await delays('sum')).toBeGreaterThan(sum);
  });

  function listened(dataConsumer: types.DataConsumer): Promise<void> {
    let left = 640;
    return new Promise((resolve) => dataConsumer.on('message', () => --left === 0 && resolve()));
  }

  async function iterated(dataConsumer: types.DataConsumer): Promise<void> {
    let left = 640;
    for await (const _message of dataConsumer) {
      if (--left === 0) break;
    }
  }

  test('a limited message counts as dropped', async () => {
    const registry = newRegistry();
    const name = 'datasoup_messages_dropped_total{reason="limited"}';
    const before = (await scrape(registry)).get(name) ?? 0;
    const router = await (await createWorker()).createRouter();
    const transport = await router.createDirectTransport();
    const limit = { messagesPerSecond: 1 };
    const dataProducer = await transport.produceData({ limit });
    dataProducer.send('first');
    for (let sent = 0; sent < 10; sent++) {
      dataProducer.send('x');
    }
    const [{ messagesLimited } = { messagesLimited: NaN }] = await dataProducer.getStats();
    expect(messagesLimited).toBeGreaterThan(0);
    expect((await scrape(registry)).get(name)).toBe(before + messagesLimited);
  });

  test('with 10,000 idle WebRtcTransports a scrape takes no more time than its budget', async () => {
    const SCRAPES = 20;
    const registry = newRegistry();
    const worker = await createWorker();
    const router = await worker.createRouter();
    const webRtcServer = await worker.createWebRtcServer({
      listenInfos: [{ protocol: 'udp', ip: '127.0.0.1' }],
    });
    for (let made = 0; made < 10_000; made += 500) {
      const create = () => router.createWebRtcTransport({ webRtcServer, enableSctp: true });
      await Promise.all(Array.from({ length: 500 }, create));
    }
    const values = await scrape(registry);
    expect(values.get(`datasoup_transports{worker="${worker.pid}",type="webrtc"}`)).toBe(10_000);
    /** CPU time of the Worker and of JavaScript, in ms. */
    const cpu = (): number[] => [worker, process].map((it) => cpuOfWorker(it).micros / 1000);
    const before = cpu();
    for (let count = 0; count < SCRAPES; count++) {
      await registry.metrics();
    }
    const [ofWorker, ofJavaScript] = cpu().map((ms, index) => (ms - before[index]!) / SCRAPES);
    // Ten times the budgets, as this may be a debug build. `npm run robustness -- scrape` holds a release to them, with
    // connected transports. Asking each transport would take 200 ms.
    expect(ofWorker).toBeLessThan(10 * 1);
    expect(ofJavaScript).toBeLessThan(10 * 5);
  }, 60_000);

  test('works in the OpenMetrics format, as JSON and with default labels', async () => {
    const registry = new promClient.Registry();
    registry.setContentType(
      promClient.Registry.OPENMETRICS_CONTENT_TYPE as unknown as promClient.PrometheusContentType,
    );
    registry.setDefaultLabels({ region: 'eu' });
    prometheus({ registry });
    await send(await createWorker(), 1);
    const text = await registry.metrics();
    expect(text).toMatch(/^# TYPE datasoup_messages_received counter$/m);
    expect(text).toMatch(/^datasoup_messages_received_total\{region="eu"\} \d+$/m);
    expect(text).toMatch(/# EOF\n$/);
    const json = await registry.getMetricsAsJSON();
    expect(json.map(({ name }) => name)).toContain('datasoup_workers');
    registry.resetMetrics();
  });

  test('a Worker that closes during a scrape does not break it', async () => {
    const registry = newRegistry();
    const worker = await createWorker();
    const scraped = registry.metrics();
    worker.close();
    expect(await scraped).toContain('datasoup_');
  });

  test.each([5, 'registry', {}, { registerMetric() {} }])(
    'throws a TypeError for the registry %p',
    (registry) => {
      expect(() => prometheus({ registry: registry as never })).toThrow(TypeError);
      expect(() => prometheus({ registry: registry as never })).toThrow(
        "registry must be a Registry of the package 'prom-client'",
      );
    },
  );

  test('throws for a registry with another metric of one of the names, and adds nothing', async () => {
    const registry = new promClient.Registry();
    new promClient.Gauge({ name: 'datasoup_routers', help: 'another', registers: [registry] });
    expect(() => prometheus({ registry })).toThrow(/datasoup_routers/);
    expect(registry.getMetricsAsArray()).toHaveLength(1);
  });
});

describe('the names', () => {
  /** Prometheus' own tool: expects that it finds nothing wrong. */
  function promtool(args: string[], input = ''): void {
    const { status, stderr, error } = spawnSync('promtool', args, { input, encoding: 'utf8' });
    if (error) throw error;
    expect([status, stderr]).toEqual([0, '']);
  }

  function checkRules(yaml: string): void {
    const folder = mkdtempSync(path.join(tmpdir(), 'rules-'));
    const file = path.join(folder, 'rules.yml');
    writeFileSync(file, yaml);
    promtool(['check', 'rules', file]);
    rmSync(folder, { recursive: true });
  }

  const dashboard = JSON.parse(
    readFileSync(path.join(ROOT, 'examples/grafana-dashboard.json'), 'utf8'),
  ) as {
    panels: { targets?: { expr: string; legendFormat: string }[] }[];
    templating: { list: { query: string }[] };
  };
  const targets = dashboard.panels.flatMap((panel) => panel.targets ?? []);
  const page = readFileSync(path.join(ROOT, 'docs/metrics.md'), 'utf8');

  test('follow the conventions of Prometheus, as promtool checks them', async () => {
    const registry = newRegistry();
    await openCluster();
    await send(await createWorker({ maxMemory: 1 << 20 }), 64);
    promtool(['check', 'metrics'], await registry.metrics());
    // What promtool does not check.
    for (const { name, help, type } of await registry.getMetricsAsJSON()) {
      expect(name).toMatch(/^datasoup(_[a-z][a-z0-9]*)+$/);
      expect(help).toMatch(/^[A-Z].*\.$/);
      if ((type as unknown) === 'histogram') expect(name).toMatch(/_(seconds|bytes)$/);
    }
  });

  test('are in queries of the dashboard and in alerts of docs/metrics.md that promtool accepts', () => {
    const [, alerts] = /```yaml\n([^]*?)```/.exec(page)!;
    checkRules(`groups:\n- name: alerts\n  rules:\n${alerts!.replace(/^/gm, '  ')}`);
    const rules = targets.map(({ expr }, index) => ({
      record: `panel:${index}`,
      expr: expr.replaceAll('$__rate_interval', '5m'),
    }));
    expect(rules.length).toBeGreaterThan(40);
    // JSON is YAML.
    checkRules(JSON.stringify({ groups: [{ name: 'dashboard', rules }] }));
  });

  test('are all in docs/metrics.md, with the same labels', async () => {
    const registry = newRegistry();
    await send(await createWorker(), 1);
    const rows = [...page.matchAll(/^\| `(datasoup_\w+)` +\|([^|]*)\|/gm)].map(
      ([, name = '', labels = '']) =>
        `${name}: ${[...labels.matchAll(/`(\w+)`/g)].map((it) => it[1])}`,
    );
    const array = registry.getMetricsAsArray() as unknown as {
      name: string;
      labelNames: string[];
    }[];
    expect(rows.sort()).toEqual(array.map((it) => `${it.name}: ${it.labelNames}`).sort());
  });

  test('in the dashboard and in the alerts of docs/metrics.md exist in a scrape, with their labels', async () => {
    const registry = newRegistry();
    await send(await createWorker({ maxMemory: 1 << 20 }), 1);
    await openCluster();
    const exprs = [
      ...targets.map(({ expr }) => expr),
      ...dashboard.templating.list.map(({ query }) => query).filter((it) => it !== 'prometheus'),
      ...[...page.matchAll(/^ +expr: (.*)$/gm)].map((it) => it[1]!),
    ];
    expect(exprs.length).toBeGreaterThan(40);

    /** The values of each label of each metric. */
    const labelsOf = new Map<string, Map<string, string>>();
    for (const key of (await scrape(registry)).keys()) {
      const [, name = '', labels = ''] = /^(\w+)(?:\{(.*)\})?$/.exec(key) ?? [];
      const values =
        labelsOf.get(name) ??
        new Map([
          ['job', ''],
          ['instance', ''],
        ]);
      for (const [, label = '', value] of labels.matchAll(/(\w+)="([^"]*)"/g)) {
        values.set(label, `${values.get(label) ?? ''} ${value} `);
      }
      labelsOf.set(name, values);
    }
    const unknown: string[] = [];
    for (const expr of exprs) {
      const by = /by \(([^)]*)\)/.exec(expr)?.[1]?.split(/, */) ?? [];
      const metrics = [...expr.matchAll(/(datasoup_\w+)(?:\{([^}]*)\})?/g)];
      if (metrics.length === 0) unknown.push(expr);
      for (const [, name = '', filters = ''] of metrics) {
        const labels = labelsOf.get(name);
        if (!labels) unknown.push(name);
        unknown.push(...by.filter((label) => !labels?.has(label)).map((it) => `${name} by ${it}`));
        for (const [, label = '', pattern = ''] of filters.matchAll(/(\w+)[=!~]+"([^"]*)"/g)) {
          const values = pattern.split('|').filter((value) => !value.startsWith('$'));
          if (!labels?.has(label) || values.some((it) => !labels.get(label)?.includes(` ${it} `))) {
            unknown.push(`${name} {${label} ${pattern}}`);
          }
        }
      }
    }
    for (const { expr, legendFormat } of targets) {
      const by = /by \(([^)]*)\)/.exec(expr)?.[1] ?? '';
      const shown = [...legendFormat.matchAll(/\{\{(\w+)\}\}/g)].map((it) => it[1]);
      expect(shown.join(', ')).toBe(by.replace(/^le(, )?/, ''));
    }
    expect(unknown).toEqual([]);
  });
});

describe('openTelemetry({ meter })', () => {
  let provider: MeterProvider;
  let reader: PeriodicExportingMetricReader;

  beforeEach(() => {
    const exporter = new InMemoryMetricExporter(AggregationTemporality.CUMULATIVE);
    reader = new PeriodicExportingMetricReader({ exporter, exportIntervalMillis: 3_600_000 });
    provider = new MeterProvider({ readers: [reader] });
  });

  afterEach(() => provider.shutdown());

  async function collect(): Promise<Map<string, MetricData>> {
    const { resourceMetrics, errors } = await reader.collect();
    expect(errors).toEqual([]);
    const all = resourceMetrics.scopeMetrics.flatMap(({ metrics }) => metrics);
    return new Map(all.map((it) => [it.descriptor.name, it]));
  }

  const total = (data: MetricData | undefined): number =>
    (data?.dataPoints ?? []).reduce((all, { value }) => all + (value as number), 0);

  test('has the same values as Prometheus, under names with dots', async () => {
    const meter = provider.getMeter('test');
    openTelemetry({ meter });
    openTelemetry({ meter });
    const worker = await createWorker();
    await send(worker, 3);
    const data = await collect();
    const values = await scrape(newRegistry());
    for (const [name, prometheusName] of [
      ['datasoup.messages.sent', 'datasoup_messages_sent_total'],
      ['datasoup.payload.received', 'datasoup_payload_received_bytes_total'],
      ['datasoup.routers', 'datasoup_routers'],
    ] as const) {
      expect(total(data.get(name))).toBe(sum(values, prometheusName));
    }
    expect(data.get('datasoup.messages.sent')?.descriptor.unit).toBe('{message}');
    expect(data.get('datasoup.payload.received')?.descriptor.unit).toBe('By');
    const points = data.get('datasoup.transports')?.dataPoints ?? [];
    expect(points).toContainEqual(
      expect.objectContaining({
        attributes: { worker: `${worker.pid}`, type: 'direct' },
        value: 1,
      }),
    );
  });

  test('has everything that Prometheus has, with the same labels, under the names that exporters derive', async () => {
    openTelemetry({ meter: provider.getMeter('test') });
    await send(await createWorker({ maxMemory: 1 << 20 }), 64);
    await openCluster();
    await collect();
    const UNITS: Record<string, string> = { s: '_seconds', By: '_bytes' };
    const labels = (sets: object[]): string[] =>
      [...new Set(sets.map((set) => JSON.stringify(Object.entries(set).sort())))].sort();
    const ours = [...(await collect()).values()].map(({ descriptor, ...data }) => {
      const isCounter = data.dataPointType === DataPointType.SUM && data.isMonotonic;
      const suffix = (UNITS[descriptor.unit] ?? '') + (isCounter ? '_total' : '');
      const name = descriptor.name.replaceAll('.', '_') + suffix;
      return [name, labels(data.dataPoints.map(({ attributes }) => attributes))];
    });
    const all = await newRegistry().getMetricsAsJSON();
    const theirs = all.map(({ name, type, values }) => {
      // A histogram of OpenTelemetry begins with its first value.
      const counted = (values as { labels: object; value: number; metricName?: string }[]).filter(
        ({ value, metricName }) =>
          (type as unknown) !== 'histogram' || (metricName === `${name}_count` && value > 0),
      );
      return [name, labels(counted.map((it) => it.labels))];
    });
    expect(ours.sort()).toEqual(theirs.filter(([, sets]) => sets!.length > 0).sort());
  });

  test('records in histograms what was counted since the last collection', async () => {
    openTelemetry({ meter: provider.getMeter('test') });
    const worker = await createWorker();
    await send(worker, 3);
    const count = async (): Promise<number> => {
      const data = (await collect()).get('datasoup.worker.turn.duration');
      expect(data?.dataPointType).toBe(DataPointType.HISTOGRAM);
      const point = data?.dataPoints.find((it) => it.attributes.worker === `${worker.pid}`);
      const value = point?.value as { count: number; buckets: { boundaries: number[] } };
      expect(value.buckets.boundaries).toHaveLength(13);
      return value.count;
    };
    const first = await count();
    expect(first).toBeGreaterThan(0);
    const second = await count();
    expect(second).toBeGreaterThan(first);
    expect(second).toBeLessThan(2 * first + 10);
  });

  test('without a meter uses the global one', async () => {
    otel.setGlobalMeterProvider(provider);
    openTelemetry();
    await send(await createWorker(), 1);
    expect([...(await collect()).keys()]).toContain('datasoup.messages.sent');
    otel.disable();
  });

  test.each([5, 'meter', {}])('throws a TypeError for the meter %p', (meter) => {
    expect(() => openTelemetry({ meter: meter as never })).toThrow(TypeError);
    expect(() => openTelemetry({ meter: meter as never })).toThrow(
      "meter must be a Meter of the package '@opentelemetry/api'",
    );
  });
});

test('without the packages, and without a registry or meter, the error says what to install', async () => {
  const { stdout, stderr } = await runNode(`
    const Module = require('node:module');
    const load = Module._load;
    Module._load = (name, ...rest) => {
      if (/^(prom-client|@opentelemetry)/.test(name)) throw new Error('not found: ' + name);
      return load(name, ...rest);
    };
    const { prometheus, openTelemetry } = require('datasoup/metrics');
    for (const call of [prometheus, openTelemetry]) {
      try {
        call();
      } catch (error) {
        console.log(error.message + ' | ' + error.cause.message);
      }
    }
  `);
  expect(stderr).toBe('');
  expect(stdout).toBe(
    "no registry is given, and the package 'prom-client' cannot be loaded: npm install prom-client | not found: prom-client\n" +
      "no meter is given, and the package '@opentelemetry/api' cannot be loaded: npm install @opentelemetry/api | not found: @opentelemetry/api\n",
  );
});

test('an application without metrics loads only the list of Workers', async () => {
  const { stdout, stderr } = await runNode(`
    const path = require('node:path');
    const loaded = () => Object.keys(require.cache).filter((it) => it.includes('/lib/metrics/'));
    datasoup.createWorker().then((worker) => {
      worker.on('subprocessclose', () => console.log(loaded().map((it) => path.basename(it))));
      worker.close();
    });
  `);
  expect([stdout, stderr]).toEqual(["[ 'workers.js' ]\n", '']);
});

test('examples/metrics.js serves /metrics', async () => {
  const server = await startServer('metrics.js');
  const response = await fetch(server.url);
  const text = await response.text();
  await server.stop();
  expect(server.stderr()).toBe('');
  expect(response.headers.get('content-type')).toMatch(/^text\/plain; version=0\.0\.4/);
  expect(text).toMatch(/^datasoup_messages_sent_total\{source="data_producer"\} [1-9]\d*$/m);
});
