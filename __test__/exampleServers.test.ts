import { randomBytes } from 'node:crypto';
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import * as path from 'node:path';

import { peers } from './helpers/peers';
import { ROOT } from './helpers/process';
import { type Server, startServer } from './helpers/server';
import type { ChannelOptions, WebRtcPeer } from './helpers/WebRtcPeers';

/** The servers of the examples, with clients of node-datachannel; browser/ has their pages. */

let server: Server;

afterEach(async () => {
  await server.stop();
  expect(server.stderr()).toBe('');
});

function post(offer: string): Promise<Response> {
  return fetch(`${server.url}/offer`, { method: 'POST', body: offer });
}

/** Connects a client to the server, and waits until its channels are open. */
async function join(channels: ChannelOptions[]): Promise<WebRtcPeer> {
  const peer = await peers.create({ channels });
  const response = await post(peer.offer);
  expect(response.status).toBe(200);
  await peer.answer(await response.text());
  await peer.untilOpen();
  return peer;
}

/** @param noFingerprint - what the server says to an offer without one. */
function refusesOffers(noFingerprint: string): void {
  test.each([
    ['an offer without a fingerprint', 'hello', noFingerprint],
    ['a fingerprint that is none', 'a=fingerprint:sha-256 hello', 'fingerprint'],
    ['an offer that is too long', `${'v=0\n'.repeat(5000)}a=fingerprint:sha-256 00`, 'the offer'],
  ])('answers %s with 400 and the reason', async (_title, offer, reason) => {
    const response = await post(offer);
    expect([response.status, await response.text()]).toEqual([
      400,
      expect.stringContaining(reason),
    ]);
  });
}

describe('examples/starter', () => {
  const starter = path.join(ROOT, 'examples/starter');
  let folder: string;

  beforeEach(async () => {
    // A copy beside an installed datasoup, as a user has it.
    folder = mkdtempSync(path.join(tmpdir(), 'datasoup-'));
    mkdirSync(path.join(folder, 'node_modules'));
    symlinkSync(ROOT, path.join(folder, 'node_modules/datasoup'));
    cpSync(starter, path.join(folder, 'starter'), { recursive: true });
    server = await startServer(path.join(folder, 'starter/server.mjs'));
  });

  afterEach(() => rmSync(folder, { recursive: true }));

  test('is one page and one server, together of at most 60 lines', () => {
    const lines = readdirSync(starter).map((file) =>
      readFileSync(path.join(starter, file), 'utf8').trimEnd().split('\n'),
    );
    expect(lines).toHaveLength(2);
    expect(lines.flat().length).toBeLessThanOrEqual(60);
  });

  test('sends what one client says to all, and goes on when one leaves', async () => {
    const [anise, basil] = [await join([{ id: 0 }]), await join([{ id: 0 }])];
    await anise.send(0, 'hello');
    expect(await anise.untilMessages(0, 1)).toEqual(['hello']);
    expect(await basil.untilMessages(0, 1)).toEqual(['hello']);

    await anise.close();
    await basil.send(0, 'still here');
    expect(await basil.untilMessages(0, 2)).toEqual(['hello', 'still here']);
  });

  refusesOffers('fingerprints[0].value');
});

describe('examples/file-transfer', () => {
  let file: string;

  beforeEach(async () => {
    file = path.join(mkdtempSync(path.join(tmpdir(), 'datasoup-')), 'file');
    writeFileSync(file, randomBytes(3_000_001));
    server = await startServer('file-transfer/server.js', '0', { FILE: file });
  });

  afterEach(() => rmSync(path.dirname(file), { recursive: true }));

  /** The names under which the server has saved files, once there are `count`. */
  async function saved(count: number): Promise<string[]> {
    const printed = await server.untilPrinted(/^saved \d+ bytes as (.*)\n/gm, count);
    return printed.map(([, name]) => name!);
  }

  test('sends its file to each client, and saves files of clients, whatever their size', async () => {
    const [anise, basil] = [await join([{ id: 0 }, { id: 1 }]), await join([{ id: 0 }, { id: 1 }])];
    const expected = readFileSync(file);
    for (const client of [anise, basil]) {
      // 64 KiB per message.
      const [header, ...parts] = await client.untilMessages(
        0,
        1 + Math.ceil(expected.length / 65_536),
      );
      expect(JSON.parse(String(header))).toEqual({ name: 'file', size: expected.length });
      expect(Buffer.concat(parts as Buffer[]).equals(expected)).toBe(true);
    }
    const uploads = [randomBytes(200_000), Buffer.alloc(0), randomBytes(1)];
    for (const upload of uploads) {
      await anise.send(1, JSON.stringify({ name: '../../x', size: upload.length }));
      for (let at = 0; at < upload.length; at += 50_000) {
        await anise.send(1, upload.subarray(at, at + 50_000));
      }
    }
    const names = await saved(3);
    expect(names.map((name, index) => readFileSync(name).equals(uploads[index]!))).toEqual([
      true,
      true,
      true,
    ]);
    rmSync(path.dirname(names[0]!), { recursive: true });
  });

  test('ends the connection of a client that sends no file, and goes on', async () => {
    const anise = await join([{ id: 0 }, { id: 1 }]);
    await anise.send(1, 'hello');
    await anise.untilClosed(1);
    await server.untilPrinted(/^a transfer failed: /gm);
    await (await join([{ id: 0 }, { id: 1 }])).untilMessages(0, 1);
  });
});

describe('examples/game', () => {
  beforeEach(async () => {
    server = await startServer('game/server.js');
  });

  const play = (): Promise<WebRtcPeer> =>
    join([{ id: 0, unordered: true, maxRetransmits: 0 }, { id: 1 }]);

  /** The first `count` events of a player. */
  const events = async (player: WebRtcPeer, count: number): Promise<unknown[]> =>
    (await player.untilMessages(1, count))
      .slice(0, count)
      .map((message) => JSON.parse(String(message)));

  /** The newest snapshot of a player, once there are `count`. */
  async function snapshot(player: WebRtcPeer, count: number): Promise<Snapshot> {
    return read((await player.untilMessages(0, count)).at(-1) as Buffer);
  }

  /** The next snapshot that a player gets. */
  const next = (player: WebRtcPeer): Promise<Snapshot> =>
    snapshot(player, (player.messages.get(0)?.length ?? 0) + 1);

  /** Sends an input, again because it can get lost, until player 2 of a snapshot of `watcher` follows it. */
  async function steer(watcher: WebRtcPeer, player: WebRtcPeer, seq: number): Promise<Snapshot> {
    for (;;) {
      await player.send(0, input(seq, 12, 0));
      const seen = await next(watcher);
      if (seen.players[2]?.seq === seq) return seen;
    }
  }

  test('welcomes each player alone, and says to all others who joins and who leaves', async () => {
    const one = await play();
    expect(await events(one, 2)).toEqual([{ you: 1, players: [1] }, { joined: 1 }]);
    const two = await play();
    expect(await events(two, 2)).toEqual([{ you: 2, players: [1, 2] }, { joined: 2 }]);

    await two.close();
    expect(await events(one, 4)).toEqual([
      { you: 1, players: [1] },
      { joined: 1 },
      { joined: 2 },
      { left: 2 },
    ]);
    const three = await play();
    expect(await events(three, 1)).toEqual([{ you: 2, players: [1, 2] }]);
  });

  test('sends snapshots of a world with 60 ticks per second', async () => {
    const player = await play();
    const first = await snapshot(player, 1);
    const start = performance.now();
    const last = await snapshot(player, 120);
    const ticks = (last.tick - first.tick) / ((performance.now() - start) / 1000);

    // A busy machine delays messages, but the world keeps its pace.
    expect(ticks).toBeGreaterThan(40);
    expect(ticks).toBeLessThan(80);
  });

  test('moves players as they say, for all to see, and never back to an older input', async () => {
    const [one, two] = [await play(), await play()];
    const before = await steer(one, two, 5);
    for (let count = 0; count < 5; count += 1) {
      await two.send(0, input(4, -127, 0));
      await next(one);
    }
    const after = await steer(one, two, 6);

    const places = one.messages
      .get(0)!
      .map((message) => read(message as Buffer))
      .filter(({ players }) => players[2])
      .sort((first, second) => first.tick - second.tick)
      .map(({ players }) => players[2]!.x);
    expect(places).toEqual([...places].sort((first, second) => first - second));
    expect(after.players[2]!.x).toBeGreaterThan(before.players[2]!.x);
    expect(after.players[2]!.y).toBe(before.players[2]!.y);
    expect(after.players[1]).toEqual(before.players[1]);
  });

  refusesOffers('the offer has no fingerprint');
});

describe('the world of examples/game', () => {
  const { World } = require(path.join(ROOT, 'examples/game/world.js'));

  beforeEach(() => {
    // `afterEach` stops a server.
    const nothing = (): string => '';
    server = {
      url: '',
      stdout: nothing,
      untilPrinted: async () => [],
      stderr: nothing,
      freeze() {},
      thaw() {},
      stop: async () => 0,
    };
  });

  test('gives no player more than the common speed, nor a place outside', () => {
    const world = new World();
    world.add(1);
    world.add(2);
    world.steer(1, input(1, 127, 0));
    world.steer(2, input(1, 127, 127));
    world.step();
    const { players } = read(world.snapshot());
    const far = ({ x, y }: Place): number => Math.hypot(x - 500, y - 500);
    expect(Math.abs(far(players[1]!) - far(players[2]!))).toBeLessThan(1);

    for (let tick = 0; tick < 1000; tick += 1) world.step();
    expect(read(world.snapshot()).players[1]).toMatchObject({ x: 1000, y: 500 });
  });

  test('ignores inputs that are late, or not of the right size, or of no player', () => {
    const world = new World();
    world.add(1);
    world.steer(1, input(2, 127, 0));
    world.steer(1, input(2, -127, 0));
    world.steer(1, input(1, -127, 0));
    world.steer(1, input(3, -127, 0).subarray(1));
    world.steer(9, input(3, -127, 0));
    world.step();
    expect(read(world.snapshot())).toEqual({ tick: 1, players: { 1: { x: 506, y: 500, seq: 2 } } });
  });
});

interface Place {
  x: number;
  y: number;
  seq: number;
}

interface Snapshot {
  tick: number;
  players: Record<number, Place>;
}

function input(seq: number, dx: number, dy: number): Buffer {
  const bytes = Buffer.alloc(6);
  bytes.writeUInt32BE(seq);
  bytes.writeInt8(dx, 4);
  bytes.writeInt8(dy, 5);
  return bytes;
}

function read(bytes: Buffer): Snapshot {
  const players: Snapshot['players'] = {};
  for (let at = 4; at < bytes.length; at += 10) {
    players[bytes.readUInt16BE(at)] = {
      x: bytes.readUInt16BE(at + 2),
      y: bytes.readUInt16BE(at + 4),
      seq: bytes.readUInt32BE(at + 6),
    };
  }
  return { tick: bytes.readUInt32BE(0), players };
}
