import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import * as path from 'node:path';

import * as nats3 from '@nats-io/transport-node';
import { Redis } from 'ioredis';
import * as nats2 from 'nats';
import { createClient } from 'redis';

import { memoryBus } from '../../lib/cluster/memoryBus';
import { natsBus } from '../../lib/cluster/nats';
import { redisBus } from '../../lib/cluster/redis';
import type { Bus } from '../../lib/cluster/types';
import { BusServer } from '../helpers/cluster/servers';

// What every bus has to do, against real servers. Each row makes two buses, as two hosts have them.

type Ends = { one: Bus; other: Bus; close: () => Promise<void> };

const dispose = (it: AsyncDisposable): PromiseLike<void> =>
  it[(Symbol.asyncDispose ?? Symbol.for('nodejs.asyncDispose')) as typeof Symbol.asyncDispose]();

let server: BusServer | undefined;

async function ofNats(connect: typeof nats3.connect | typeof nats2.connect): Promise<Ends> {
  // connect() changes its options.
  const make = () =>
    connect({ port: server!.port, reconnectTimeWait: 50, maxReconnectAttempts: -1 });
  const [one, other] = await Promise.all([make(), make()]);
  return {
    one: natsBus(one),
    other: natsBus(other),
    close: async () => {
      await Promise.all([one.close(), other.close()]);
    },
  };
}

const BUSES: [string, 'nats' | 'redis' | undefined, () => Promise<Ends>][] = [
  [
    'memory',
    undefined,
    async () => {
      const bus = memoryBus();
      return { one: bus, other: bus, close: async () => {} };
    },
  ],
  ['@nats-io/transport-node', 'nats', () => ofNats(nats3.connect)],
  ['nats', 'nats', () => ofNats(nats2.connect)],
  [
    'ioredis',
    'redis',
    async () => {
      const options = { port: server!.port, retryStrategy: () => 50 };
      const clients = [new Redis(options), new Redis(options)] as const;
      for (const client of clients) client.on('error', () => {});
      await Promise.all(clients.map((client) => client.ping()));
      return {
        one: redisBus(clients[0]),
        other: redisBus(clients[1]),
        close: async () => clients.forEach((client) => client.disconnect()),
      };
    },
  ],
  [
    'redis',
    'redis',
    async () => {
      const make = async () => {
        const socket = { port: server!.port, host: '127.0.0.1', reconnectStrategy: () => 50 };
        const client = createClient({ socket });
        client.on('error', () => {});
        await client.connect();
        return client;
      };
      const [one, other] = await Promise.all([make(), make()]);
      return {
        one: redisBus(one),
        other: redisBus(other),
        close: async () => {
          one.destroy();
          other.destroy();
        },
      };
    },
  ],
];

describe.each(BUSES)('%s', (_, kind, make) => {
  let ends: Ends;
  let one: Bus;
  let other: Bus;
  const subscriptions: AsyncDisposable[] = [];

  beforeAll(async () => {
    server = kind && (await BusServer.start(kind));
    ends = await make();
    ({ one, other } = ends);
  });

  afterAll(async () => {
    await Promise.all(subscriptions.map(dispose));
    await ends?.close();
    await server?.kill();
  });

  /** What comes on a subject. */
  async function listen(bus: Bus, subject: string) {
    const messages: string[] = [];
    const waiting: { count: number; done: () => void }[] = [];
    const subscription = await bus.subscribe(subject, (data) => {
      messages.push(Buffer.from(data).toString('latin1'));
      for (const { count, done } of waiting) if (messages.length >= count) done();
    });
    subscriptions.push(subscription);
    const arrived = (count: number): Promise<string[]> =>
      messages.length >= count
        ? Promise.resolve(messages)
        : new Promise((resolve) => waiting.push({ count, done: () => resolve(messages) }));
    return { messages, subscription, arrived };
  }

  const send = (bus: Bus, subject: string, text: string): unknown =>
    bus.publish(subject, Buffer.from(text, 'latin1'));

  test('a subject that is left and taken again at once is heard', async () => {
    await listen(one, 'kept'); // The connection ends with its last subscription.
    const first = await listen(one, 'again');
    const ended = dispose(first.subscription);
    const second = await listen(one, 'again');
    await ended;
    send(other, 'again', 'heard');
    expect(await second.arrived(1)).toEqual(['heard']);
    expect(first.messages).toEqual([]);
  });

  test('a subscription is in force when it resolves; all hear, the publisher too', async () => {
    const mine = await listen(one, 'p.a');
    const theirs = await listen(other, 'p.a');
    send(one, 'p.a', 'x');
    expect(await mine.arrived(1)).toEqual(['x']);
    expect(await theirs.arrived(1)).toEqual(['x']);
  });

  test('messages arrive in order, byte by byte, on their own subject only', async () => {
    const bytes = String.fromCharCode(...Array.from({ length: 256 }, (__, byte) => byte));
    const wanted = await listen(other, 'p.b');
    const unwanted = await listen(other, 'p.b.c');
    for (let number = 0; number < 200; number += 1) send(one, 'p.b', `${number} ${bytes}`);
    const messages = await wanted.arrived(200);
    expect(messages.map((each) => Number(each.split(' ')[0]))).toEqual(
      Array.from({ length: 200 }, (__, number) => number),
    );
    expect(messages[7]).toBe(`7 ${bytes}`);
    expect(unwanted.messages).toEqual([]);
  });

  test('a message may have 256 KiB', async () => {
    const { arrived } = await listen(other, 'p.large');
    expect(one.maxPayload).toBeGreaterThanOrEqual(256 * 1024);
    send(one, 'p.large', 'x'.repeat(256 * 1024));
    expect((await arrived(1))[0]).toHaveLength(256 * 1024);
  });

  test('each of two subscriptions to a subject ends by itself', async () => {
    const first = await listen(other, 'p.d');
    const second = await listen(other, 'p.d');
    await dispose(first.subscription);
    send(one, 'p.d', '1');
    expect(await second.arrived(1)).toEqual(['1']);
    await dispose(second.subscription);
    const last = await listen(other, 'p.e');
    send(one, 'p.d', '2');
    send(one, 'p.e', '3');
    await last.arrived(1);
    expect([first.messages, second.messages]).toEqual([[], ['1']]);
  });

  if (kind) {
    test('publishing does not throw while the server is away, and subscriptions are back with it', async () => {
      const { arrived } = await listen(other, 'p.f');
      await server!.kill();
      // The client has not noticed yet.
      send(one, 'p.f', 'lost, or late');
      // It has, and says that the message is lost.
      while ((await one.publish('p.f', Buffer.from('lost'))) !== false) {
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
      const pending = listen(other, 'p.g');
      await server!.start();
      const timer = setInterval(() => {
        send(one, 'p.f', 'back');
        send(one, 'p.g', 'back');
      }, 50);
      await arrived(3);
      expect(await (await pending).arrived(1)).toContain('back');
      clearInterval(timer);
    });
  }
});

test('a NATS connection with noEcho is refused, and so is what is not a connection', async () => {
  server = await BusServer.start('nats');
  for (const connect of [nats3.connect, nats2.connect]) {
    const connection = await connect({ port: server.port, noEcho: true });
    expect(() => natsBus(connection)).toThrow(TypeError);
    expect(() => natsBus(connection)).toThrow(/noEcho/);
    await connection.close();
  }
  for (const wrong of [undefined, null, 1, {}, 'nats://']) {
    expect(() => natsBus(wrong)).toThrow(/connection must be a connection of @nats-io/);
    expect(() => redisBus(wrong)).toThrow(/client must be a client of ioredis or redis/);
  }
  await server.kill();
});

test('a Redis bus opens its second connection with the first subscription, and closes it with the last', async () => {
  server = await BusServer.start('redis');
  const client = new Redis({ port: server.port });
  const count = async (): Promise<number> =>
    String(await client.client('LIST'))
      .trim()
      .split('\n').length;
  const bus = redisBus(client);
  expect(await count()).toBe(1);
  const subscription = await bus.subscribe('p.a', () => {});
  expect(await count()).toBe(2);
  await dispose(subscription);
  while ((await count()) > 1) await new Promise((resolve) => setTimeout(resolve, 10));
  client.disconnect();
  await server.kill();
});

describe('a subscription that the server refuses', () => {
  const refused = async (bus: Bus): Promise<void> => {
    await expect(bus.subscribe('q.a', () => {})).rejects.toThrow(/permission/i);
    const messages: string[] = [];
    const subscription = await bus.subscribe('p.a', (data) =>
      messages.push(`${Buffer.from(data)}`),
    );
    bus.publish('p.a', Buffer.from('x'));
    while (messages.length === 0) await new Promise((resolve) => setTimeout(resolve, 5));
    await dispose(subscription);
  };

  test.each([
    ['@nats-io/transport-node', nats3.connect],
    ['nats', nats2.connect],
  ])('rejects over %s', async (_, connect) => {
    const folder = await mkdtemp(path.join(tmpdir(), 'datasoup-nats-'));
    const file = path.join(folder, 'nats.conf');
    await writeFile(
      file,
      'authorization { users = [{ user: u, password: w, permissions: { subscribe: "p.>" } }] }',
    );
    server = await BusServer.start('nats', ['-c', file]);
    const connection = await connect({ port: server.port, user: 'u', pass: 'w' });
    await refused(natsBus(connection));
    await connection.close();
    await server.kill();
    await rm(folder, { recursive: true });
  });

  test.each(['ioredis', 'redis'])('rejects over %s, and leaves no connection', async (kind) => {
    server = await BusServer.start('redis', [
      '--user',
      ...'u on nopass ~* +@all resetchannels &p.*'.split(' '),
    ]);
    const admin = new Redis({ port: server.port });
    const count = async (): Promise<number> =>
      String(await admin.client('LIST'))
        .trim()
        .split('\n').length - 1;
    const client =
      kind === 'ioredis'
        ? new Redis({ port: server.port, username: 'u', password: 'w' })
        : createClient({ socket: { port: server.port }, username: 'u', password: 'w' });
    if (!(client instanceof Redis)) await client.connect();
    const bus = redisBus(client);
    await expect(bus.subscribe('q.a', () => {})).rejects.toThrow(/permission/i);
    while ((await count()) > 1) await new Promise((resolve) => setTimeout(resolve, 10));
    await refused(bus);
    while ((await count()) > 1) await new Promise((resolve) => setTimeout(resolve, 10));
    if (client instanceof Redis) client.disconnect();
    else client.destroy();
    admin.disconnect();
    await server.kill();
  });
});

test('what a Redis server does not answer is lost once too much waits for it', async () => {
  server = await BusServer.start('redis');
  const client = new Redis({ port: server.port });
  await client.ping();
  const bus = redisBus(client);
  const message = Buffer.alloc(1024 * 1024);
  server.signal('SIGSTOP');
  const sent = Array.from({ length: 20 }, () => bus.publish('p.a', message));
  expect(sent.slice(16)).toEqual([false, false, false, false]);
  server.signal('SIGCONT');
  expect(await Promise.all(sent.slice(0, 16))).toEqual(Array.from({ length: 16 }, () => true));
  expect(await bus.publish('p.a', message)).toBe(true);
  client.disconnect();
  await server.kill();
});

test('what a Redis server refuses is lost', async () => {
  server = await BusServer.start('redis', [
    '--user',
    ...'u on nopass ~* +@all resetchannels &p.*'.split(' '),
  ]);
  const client = new Redis({ port: server.port, username: 'u', password: 'w' });
  await client.ping();
  const bus = redisBus(client);
  expect(await bus.publish('q.a', Buffer.from('x'))).toBe(false);
  expect(await bus.publish('p.a', Buffer.from('x'))).toBe(true);
  client.disconnect();
  await server.kill();
});

test('a Redis client without a connection: a lazy one connects, one that needs connect() is refused', async () => {
  server = await BusServer.start('redis');
  const lazy = new Redis({ port: server.port, lazyConnect: true });
  const bus = redisBus(lazy);
  const messages: string[] = [];
  const subscription = await bus.subscribe('p.a', (data) => messages.push(`${Buffer.from(data)}`));
  while (messages.length === 0) {
    bus.publish('p.a', Buffer.from('x'));
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  await dispose(subscription);
  lazy.disconnect();
  await new Promise((resolve) => lazy.once('end', resolve));
  const client = createClient({ socket: { port: server.port } });
  for (const each of [lazy, client]) {
    await expect(redisBus(each).subscribe('p.a', () => {})).rejects.toThrow(
      'the Redis client is not connected: call its connect() first',
    );
  }
  await client.connect();
  await dispose(await redisBus(client).subscribe('p.a', () => {}));
  client.destroy();
  await server.kill();
});
