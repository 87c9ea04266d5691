import * as promClient from 'prom-client';

import * as datasoup from '../..';
import type { types } from '../..';
import {
  createCluster,
  memoryBus,
  type Bus,
  type Cluster,
  type Room,
} from '../../subpaths/cluster';
import { prometheus } from '../../subpaths/metrics';
import '../helpers/closeWorkers';
import { Inbox } from '../helpers/Inbox';
import { nextEvent } from '../helpers/wait';

// What operators see of a Cluster: metrics and lines of the log.

const LEASE = 500;

let memory: Bus;
/** Hosts that the bus takes nothing from. */
let cut: Set<string>;
let clusters: Cluster[] = [];
let lines: string[];

beforeEach(() => {
  memory = memoryBus();
  cut = new Set();
  lines = [];
  datasoup.setLogEventListeners({
    onwarn: (namespace, line) => lines.push(`${namespace} ${line}`),
  });
});

afterEach(async () => {
  cut.clear();
  for (const cluster of clusters.splice(0)) await cluster.close();
  datasoup.setLogEventListeners();
});

async function start(
  host: string,
  secret = 'a secret of more than thirty-two bytes',
  carrier: 'auto' | 'bus' = 'auto',
): Promise<Cluster> {
  const cluster = await createCluster({
    bus: {
      maxPayload: memory.maxPayload,
      publish: (subject, data) => cut.has(host) || memory.publish(subject, data),
      subscribe: (subject, listener) => memory.subscribe(subject, listener),
    },
    secret,
    host,
    listenInfo: { protocol: 'udp', ip: '127.0.0.1' },
    lease: LEASE,
    linger: 100,
    carrier,
  });
  clusters.push(cluster);
  return cluster;
}

interface Joined {
  room: Room;
  transport: types.DirectTransport;
}

async function join(cluster: Cluster): Promise<Joined> {
  const router = await (await datasoup.createWorker()).createRouter();
  const transport = await router.createDirectTransport();
  return { room: await cluster.join('r', { router }), transport };
}

/** Announces a DataProducer, consumes it on the other host, and resolves once a message has crossed. */
async function sendAcross(one: Joined, other: Joined, message: string | Buffer): Promise<void> {
  const dataProducer = await one.transport.produceData();
  const seen = nextEvent(other.room, 'dataproducer');
  one.room.announce(dataProducer);
  await seen;
  const { id: dataProducerId } = dataProducer;
  const inbox = new Inbox(await other.room.consumeData(other.transport, { dataProducerId }));
  dataProducer.send(message);
  await inbox.count(1);
}

/** The sums of the values of a scrape, by the name of the metric and the value of its label, if it has one. */
async function scrape(): Promise<(key: string) => number> {
  const registry = new promClient.Registry();
  prometheus({ registry });
  const sums = new Map<string, number>();
  for (const { name, values } of await registry.getMetricsAsJSON()) {
    for (const { labels, value } of values as { labels: Record<string, string>; value: number }[]) {
      const { worker: _, ...others } = labels;
      const key = [name, ...Object.values(others)].join(' ');
      sums.set(key, (sums.get(key) ?? 0) + value);
    }
  }
  return (key) => sums.get(`datasoup_${key}`) ?? NaN;
}

async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await condition())) await new Promise((resolve) => setTimeout(resolve, 5));
}

test('gauges show the hosts, rooms, lists, paths and pipes of open Clusters, and counters outlive them', async () => {
  const [a, b] = [await start('a'), await start('b')];
  const before = await scrape();
  expect(before('clusters')).toBe(2);
  const [one, other] = [await join(a), await join(b)];
  await sendAcross(one, other, 'x');
  // All of that may have taken less than a beat, so wait for one.
  const beats = 'cluster_control_messages_received_total beat';
  await until(async () => (await scrape())(beats) > before(beats));

  const during = await scrape();
  expect(during('cluster_hosts')).toBe(2);
  expect(during('cluster_rooms')).toBe(2);
  expect(during('cluster_data_producers own')).toBe(1);
  expect(during('cluster_data_producers other')).toBe(1);
  expect(during('cluster_paths')).toBe(1);
  expect(during('cluster_pipes in')).toBe(1);
  expect(during('cluster_pipes out')).toBe(1);
  expect(during('cluster_pipes_down')).toBe(0);
  expect(during('cluster_bus_down')).toBe(0);
  const grown = (key: string): number => during(key) - before(key);
  for (const type of ['state', 'diff', 'list', 'beat', 'pipe', 'piped', 'want', 'given']) {
    expect(grown(`cluster_control_messages_sent_total ${type}`)).toBeGreaterThan(0);
    expect(grown(`cluster_control_messages_received_total ${type}`)).toBeGreaterThan(0);
  }
  // A message of a room has come to both hosts.
  expect(grown('cluster_control_messages_received_total diff')).toBe(2);
  expect(grown('cluster_control_sent_bytes_total')).toBeGreaterThan(1000);

  for (const cluster of clusters.splice(0)) await cluster.close();
  const after = await scrape();
  expect(after('clusters')).toBeNaN();
  expect(after('cluster_hosts')).toBeNaN();
  expect(after('cluster_control_messages_sent_total bye')).toBeGreaterThanOrEqual(
    2 + before('cluster_control_messages_sent_total bye'),
  );
  expect(after('cluster_hosts_gone_total left')).toBe(1 + before('cluster_hosts_gone_total left'));
  expect(after('cluster_control_sent_bytes_total')).toBeGreaterThan(
    during('cluster_control_sent_bytes_total'),
  );
});

test('a bus that is down and a host that is silent are counted, and warned of', async () => {
  const [a, b] = [await start('a'), await start('b')];
  await join(a);
  const up = nextEvent(a, 'hostup');
  await join(b);
  await up;
  const before = await scrape();
  const [down, gone] = [nextEvent(b, 'busdown'), nextEvent(a, 'hostdown')];
  cut.add('b');
  await Promise.all([down, gone]);
  const during = await scrape();
  expect(during('cluster_bus_down')).toBe(1);
  const grown = (key: string): number => during(key) - before(key);
  expect(grown('cluster_bus_outages_total')).toBe(1);
  expect(grown('cluster_hosts_gone_total lease')).toBe(1);
  const back = nextEvent(b, 'busup');
  cut.clear();
  await back;
  expect((await scrape())('cluster_bus_down')).toBe(0);
  const namespace = 'datasoup:WARN:cluster';
  expect(lines.sort()).toEqual([
    `${namespace} a: host b is gone: it was silent on the bus and in its pipes for a lease`,
    `${namespace} b: the bus is down: this host has not heard itself for a lease`,
    `${namespace} b: the bus is up again`,
  ]);
});

test('messages that the bus does not take are counted', async () => {
  const a = await start('a');
  const before = await scrape();
  const { publish } = memory;
  memory.publish = () => {
    throw new Error('too long');
  };
  await join(a);
  memory.publish = publish;
  const key = 'cluster_control_messages_unsent_total';
  expect((await scrape())(key)).toBeGreaterThan(before(key));
});

test('refused messages are counted by reason, and the first one of each that no honest host sends is warned of', async () => {
  const a = await start('a');
  await join(a);
  const before = await scrape();
  await join(await start('b', 'another secret of thirty-two bytes or more'));
  memory.publish('datasoup.to.a', Buffer.from('hello'));
  memory.publish('datasoup.to.a', Buffer.from('hello'));
  const refused = async (reason: string): Promise<number> => {
    const key = `cluster_control_messages_refused_total ${reason}`;
    return (await scrape())(key) - before(key);
  };
  await until(async () => (await refused('key')) > 0 && (await refused('format')) === 2);
  expect(await refused('forged')).toBe(0);
  const shown = (reason: string): string =>
    `datasoup:WARN:cluster a: a control message was refused: '${reason}' (shown once; getStats() counts them)`;
  expect(lines.filter((line) => line.includes(' a: ')).sort()).toEqual([
    shown('format'),
    shown('key'),
  ]);
});

test('pipes over the bus are counted apart, with their bytes', async () => {
  const before = await scrape();
  const [a, b] = [await start('a'), await start('b', undefined, 'bus')];
  const [one, other] = [await join(a), await join(b)];
  await sendAcross(one, other, Buffer.alloc(10_000));
  const during = await scrape();
  for (const key of ['pipes in', 'pipes out', 'pipes_over_bus in', 'pipes_over_bus out']) {
    expect([key, during(`cluster_${key}`)]).toEqual([key, 1]);
  }
  for (const key of ['sent', 'received']) {
    const name = `cluster_over_bus_${key}_bytes_total`;
    expect(during(name) - (before(name) || 0)).toBeGreaterThan(10_000);
  }
});
