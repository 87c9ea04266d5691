import { fork, type ChildProcess } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import * as path from 'node:path';
import './helpers/closeWorkers';
import type { types } from '..';
import { arrange, type Arrangement } from './helpers/arrangement';
import { peers } from './helpers/peers';
import { bindingRequest } from './helpers/stun';
import { nextMacrotask, until } from './helpers/wait';
import type { WebRtcPeer } from './helpers/WebRtcPeers';

/**
 * While another process floods the port, the messages of a well-behaved client still go to JavaScript and back.
 * `npm run robustness -- floods` measures this with more and faster attackers.
 */

/** The promise: at most 10 times the quiet median. A quiet round trip of less than 1 ms counts as 1 ms. */
const MAX_RATIO = 10;
const LEAST_MS = 1;

/**
 * The most bytes by which memory may grow, Jest's own heap included. A flood that the worker buffered would exceed this
 * within seconds.
 */
const MAX_GROWTH = 64 * 1024 * 1024;

const TRIPS = 60;

/** Ends a measurement early on a busy machine, where round trips take long with or without a flood. */
const LONGEST_MS = 5_000;

let objects: Arrangement;
let peer: WebRtcPeer;
let flood: ChildProcess | undefined;

beforeAll(async () => {
  objects = await arrange({
    listenInfos: [
      { protocol: 'udp', ip: '127.0.0.1' },
      { protocol: 'tcp', ip: '127.0.0.1' },
    ],
  });
  peer = await peers.connect(objects.webRtcTransport, { channels: [{ id: 0 }, { id: 1 }] });
  objects.dataConsumerDirect.on('message', (message) => objects.dataProducerDirect.send(message));
  await medianTrip();
});

afterEach(async () => {
  const ended = flood && once(flood, 'exit');
  flood?.kill('SIGKILL');
  await ended;
  flood = undefined;
});

afterAll(() => objects.worker.close());

/** The median round trip of a message of the client, in milliseconds. */
async function medianTrip(): Promise<number> {
  const trips: number[] = [];
  const end = performance.now() + LONGEST_MS;
  while (trips.length < TRIPS && (performance.now() < end || trips.length < 3)) {
    const arrived = peer.messages.get(0)?.length ?? 0;
    const begin = performance.now();
    await peer.send(1, 'ping');
    await until(peer, 'message', () => (peer.messages.get(0)?.length ?? 0) > arrived);
    trips.push(performance.now() - begin);
  }
  trips.sort((a, b) => a - b);
  return trips[Math.floor(trips.length / 2)]!;
}

async function begin(protocol: 'udp' | 'tcp', datagrams: Buffer[]): Promise<void> {
  const { port } = objects.webRtcTransport.iceCandidates.find((it) => it.protocol === protocol)!;
  flood = fork(path.join(__dirname, 'helpers/flood.js'), [protocol, `${port}`], {
    serialization: 'advanced',
  });
  flood.send(datagrams);
  await once(flood, 'message');
}

/** The number of datagrams and connections that the worker dropped. */
async function dropped(): Promise<number> {
  const dump = await objects.worker.dump();
  const [stats] = (await objects.webRtcTransport.getStats()) as types.WebRtcTransportStat[];
  return dump.datagramsOverflowed + dump.tcpConnectionsDropped + stats!.datagramsDropped;
}

/** Resolves once the worker has dropped more than `before`, so that the flood has begun. */
async function untilFlooded(before: number): Promise<void> {
  while ((await dropped()) <= before) {
    await nextMacrotask();
  }
}

const forged = (): Buffer =>
  bindingRequest(`${objects.webRtcTransport.iceParameters.usernameFragment}:x`, 'a guess');

const floods: [string, 'udp' | 'tcp', () => Buffer[]][] = [
  ['random bytes', 'udp', () => Array.from({ length: 100 }, (_value, n) => randomBytes(n * 12))],
  ['STUN requests with a wrong integrity', 'udp', () => Array.from({ length: 20 }, forged)],
  ['300 TCP connections with such requests', 'tcp', () => Array.from({ length: 20 }, forged)],
  ['300 TCP connections with empty frames', 'tcp', () => [Buffer.alloc(0)]],
];

test.each(floods)(
  'during a flood of %s a client’s round trip stays below 10 times the quiet one, and memory stays bounded',
  async (_what, protocol, datagrams) => {
    const quiet = await medianTrip();
    const before = { dropped: await dropped(), rss: process.memoryUsage.rss() };
    await begin(protocol, datagrams());
    await untilFlooded(before.dropped);
    const attacked = await medianTrip();
    expect(attacked / Math.max(quiet, LEAST_MS)).toBeLessThan(MAX_RATIO);
    expect(process.memoryUsage.rss() - before.rss).toBeLessThan(MAX_GROWTH);
    expect(objects.webRtcTransport).toMatchObject({
      iceState: 'completed',
      dtlsState: 'connected',
      sctpState: 'connected',
    });
  },
  60_000,
);
