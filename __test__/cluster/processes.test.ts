import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import * as path from 'node:path';

import * as datasoup from '../..';
import type { types } from '../..';
import {
  createCluster,
  type Cluster,
  type ClusterOptions,
  type Room,
} from '../../subpaths/cluster';
import '../helpers/closeWorkers';
import { CLIENTS } from '../helpers/cluster/clients';
import { BusServer } from '../helpers/cluster/servers';
import { Inbox } from '../helpers/Inbox';
import { nextEvent } from '../helpers/wait';

// Two processes that share a room over a real bus.

// Above the pauses of a busy machine. The tests wait for it up to twice.
jest.setTimeout(60_000);
const LEASE = 5000;

describe.each([
  ['@nats-io/transport-node', 'nats'],
  ['ioredis', 'redis'],
  ['redis', 'redis'],
] as const)('over %s', (name, kind) => {
  let server: BusServer;
  let client: Awaited<ReturnType<(typeof CLIENTS)[string]>>;
  let options: ClusterOptions;
  let cluster: Cluster;
  let worker: types.Worker;
  let room: Room;
  let transport: types.DirectTransport;
  let other: ChildProcess;
  let inbox: Inbox;
  let dataConsumer: types.DataConsumer;

  async function startOther(): Promise<void> {
    const file = path.join(__dirname, '../helpers/cluster/hostProcess.js');
    const seen = nextEvent(room, 'dataproducer');
    other = fork(file, [name, `${server.port}`, 'other', `${LEASE}`]);
    const [{ id }] = await once(other, 'message');
    expect(await seen).toMatchObject([{ id, host: 'other', info: { host: 'other' } }]);
    dataConsumer = await room.consumeData(transport, { dataProducerId: id });
    inbox = new Inbox(dataConsumer);
  }

  beforeAll(async () => {
    server = await BusServer.start(kind);
    client = await CLIENTS[name]!(server.port);
    options = {
      bus: client.bus,
      secret: 'a secret that both processes know, as they should',
      listenInfo: { protocol: 'udp', ip: '127.0.0.1' },
      lease: LEASE,
    };
    cluster = await createCluster(options);
    worker = await datasoup.createWorker();
    const router = await worker.createRouter();
    transport = await router.createDirectTransport();
    room = await cluster.join('r', { router });
  });

  afterAll(async () => {
    other?.kill('SIGKILL');
    await cluster?.close();
    await client?.end();
    worker?.close();
    await server?.kill();
  });

  test('messages cross, also while the bus is down and after it has lost its memory', async () => {
    await startOther();
    other.send({ send: 100 });
    await inbox.count(100);
    const down = nextEvent(cluster, 'busdown');
    await server.kill();
    await down;
    other.send({ send: 100 });
    await inbox.count(200);
    const up = nextEvent(cluster, 'busup');
    await server.start();
    await up;
    other.send({ send: 100 });
    await inbox.count(300);
    expect(inbox.texts).toEqual(Array.from({ length: 300 }, (_, number) => `${number + 1}`));
    expect(dataConsumer.closed).toBe(false);
    // ioredis publishes again what the server has not answered before it ended.
    const { replayed, ...refused } = (await cluster.getStats()).refused;
    expect(refused).toEqual({});
    if (name !== 'ioredis') expect(replayed).toBeUndefined();
  });

  test('messages cross over the bus where UDP is blocked', async () => {
    const remote = await createCluster({ ...options, carrier: 'bus' });
    const router = await worker.createRouter();
    const far = await remote.join('r', { router });
    const [{ id }] = (await nextEvent(far, 'dataproducer')) as [{ id: string }];
    const direct = await router.createDirectTransport();
    const received = new Inbox(await far.consumeData(direct, { dataProducerId: id }));
    other.send({ send: 1000 });
    await received.count(1000);
    const numbers = received.texts.map(Number);
    expect(numbers).toEqual(numbers.map((_, index) => numbers[0]! + index));
    await inbox.count(1300);
    const { takes, overBus } = await remote.getStats();
    expect(takes).toMatchObject([{ host: 'other', carrier: 'bus', failures: 0 }]);
    expect(overBus.bytesReceived).toBeGreaterThan(1000);
    await remote.close();
    router.close();
  });

  test('a host that leaves has delivered everything', async () => {
    const gone = nextEvent(room, 'dataproducergone');
    other.send({ send: 500, leave: true });
    expect(await gone).toMatchObject([{ host: 'other' }, 'left']);
    await inbox.count(1800);
    if (other.exitCode === null) await once(other, 'exit');
  });
});
