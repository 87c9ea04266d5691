import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { PassThrough, Writable } from 'node:stream';
import * as binding from '../lib/native';
import './helpers/closeWorkers';
import type { types } from '..';
import { Inbox } from './helpers/Inbox';
import { objects } from './helpers/objects';
import { peers } from './helpers/peers';
import { PATIENCE, until, untilState } from './helpers/wait';
import { LOOPBACK } from './helpers/arrangement';

/** `transport.capture()`. The files are read as draft-ietf-opsawg-pcapng describes them. */

const CHANNELS = [{ id: 0 }, { id: 1 }];

interface Block {
  type: number;
  body: Buffer;
}

interface Packet {
  outbound: boolean;
  /** Milliseconds since 1970. */
  at: number;
  bytes: Buffer;
}

interface File {
  linkType: number;
  packets: Packet[];
  received: number;
  dropped: number;
}

/** The blocks of a file, whose two lengths must agree (§3.1). */
function blocksOf(file: Buffer): Block[] {
  const blocks: Block[] = [];
  for (let at = 0; at < file.length;) {
    const length = file.readUInt32LE(at + 4);
    expect(length % 4).toBe(0);
    expect(file.readUInt32LE(at + length - 4)).toBe(length);
    blocks.push({ type: file.readUInt32LE(at), body: file.subarray(at + 8, at + length - 4) });
    at += length;
  }
  return blocks;
}

/** The options of a block by their code (§3.5). */
function optionsOf(body: Buffer, at: number): Map<number, Buffer> {
  const options = new Map<number, Buffer>();
  for (let next = at; next < body.length;) {
    const code = body.readUInt16LE(next);
    const length = body.readUInt16LE(next + 2);
    if (code === 0) break;
    options.set(code, body.subarray(next + 4, next + 4 + length));
    next += 4 + length + (-length & 3);
  }
  return options;
}

function read(file: Buffer): File {
  const [section, description, ...rest] = blocksOf(file);
  expect(section!.type).toBe(0x0a0d0d0a);
  expect(section!.body.readUInt32LE(0)).toBe(0x1a2b3c4d);
  expect(optionsOf(section!.body, 16).get(4)?.toString()).toMatch(/^datasoup \d/);
  expect(description!.type).toBe(1);
  const last = rest.pop()!;
  expect(last.type).toBe(5);
  const statistics = optionsOf(last.body, 12);
  return {
    linkType: description!.body.readUInt16LE(0),
    packets: rest.map(({ type, body }) => {
      expect(type).toBe(6);
      const length = body.readUInt32LE(12);
      expect(body.readUInt32LE(16)).toBe(length);
      const micros = (BigInt(body.readUInt32LE(4)) << 32n) | BigInt(body.readUInt32LE(8));
      const options = optionsOf(body, 20 + length + (-length & 3));
      return {
        outbound: (options.get(2)!.readUInt32LE(0) & 3) === 2,
        at: Number(micros / 1000n),
        bytes: body.subarray(20, 20 + length),
      };
    }),
    received: Number(statistics.get(4)!.readBigUInt64LE()),
    dropped: Number(statistics.get(5)!.readBigUInt64LE()),
  };
}

/** A Writable that keeps everything written to it. */
class Sink extends Writable {
  readonly #chunks: Buffer[] = [];

  override _write(chunk: Buffer, _encoding: unknown, done: () => void): void {
    this.#chunks.push(chunk);
    done();
  }

  get bytes(): Buffer {
    return Buffer.concat(this.#chunks);
  }

  /** The file, once the capture has ended it. */
  async file(): Promise<File> {
    if (!this.writableFinished) await once(this, 'finish');
    return read(this.bytes);
  }
}

/** The lines of tcpdump for the packets that libpcap finds in a file. */
function linesOfTcpdump(file: Buffer): string[] {
  const { error, status, stdout, stderr } = spawnSync('tcpdump', ['-n', '-r', '-'], {
    input: file,
    encoding: 'utf8',
  });
  if (error || status !== 0) throw new Error(`tcpdump (a package of Debian): ${error ?? stderr}`);
  expect(stderr).toContain('link-type SCTP');
  return stdout.split('\n').filter((line) => /^\d\d:\d\d:\d\d\./.test(line));
}

/** The types of the chunks of a packet (RFC 9260 §3.2). */
function chunksOf({ bytes }: Packet): number[] {
  const types: number[] = [];
  for (let at = 12; at + 4 <= bytes.length;) {
    types.push(bytes[at]!);
    const length = bytes.readUInt16BE(at + 2);
    at += length + (-length & 3);
  }
  return types;
}

const DATA = 0;
const INIT = 1;

test('has the packets of both directions, from the handshake on, in order and with their times', async () => {
  const { webRtcTransport: transport, dataProducerDirect, dataConsumerDirect } = objects;
  const before = Date.now();
  const sink = new Sink();
  const capture = await transport.capture(sink);
  const peer = await peers.connect(transport, { channels: CHANNELS });
  const inbox = new Inbox(dataConsumerDirect);
  await peer.send(1, 'from the client');
  await inbox.count(1);
  dataProducerDirect.send('to the client');
  await peer.untilMessages(0, 1);
  await objects.worker.dump();
  capture.close();
  expect(capture.closed).toBe(true);
  const { linkType, packets, received, dropped } = await sink.file();
  expect(linkType).toBe(248);
  expect(linesOfTcpdump(sink.bytes)).toHaveLength(packets.length);
  expect([received, dropped]).toEqual([packets.length, 0]);
  expect(capture).toMatchObject({ packets: packets.length, packetsDropped: 0 });
  expect(packets.some((it) => chunksOf(it).includes(INIT))).toBe(true);
  const holds = (outbound: boolean, text: string): boolean =>
    packets.some(
      (it) => it.outbound === outbound && chunksOf(it).includes(DATA) && it.bytes.includes(text),
    );
  expect(holds(false, 'from the client')).toBe(true);
  expect(holds(true, 'to the client')).toBe(true);
  const times = packets.map(({ at }) => at);
  expect(times).toEqual([...times].sort((a, b) => a - b));
  expect(times[0]).toBeGreaterThanOrEqual(before - 1000);
  expect(times.at(-1)).toBeLessThanOrEqual(Date.now() + 1000);
});

test('closing the transport or one of two captures ends its file and no other', async () => {
  const { webRtcTransport: transport, dataProducerDirect } = objects;
  const [first, second] = [new Sink(), new Sink()];
  const captures = [await transport.capture(first), await transport.capture(second)];
  const peer = await peers.connect(transport, { channels: CHANNELS });
  captures[0]!.close();
  captures[0]!.close();
  const { packets } = await first.file();
  dataProducerDirect.send('only in the second');
  await peer.untilMessages(0, 1);
  await objects.worker.dump();
  transport.close();
  expect(captures[1]!.closed).toBe(true);
  const later = await second.file();
  expect(later.packets.length).toBeGreaterThan(packets.length);
  expect(later.packets.some(({ bytes }) => bytes.includes('only in the second'))).toBe(true);
  expect(packets.some(({ bytes }) => bytes.includes('only in the second'))).toBe(false);
});

test('a slow Writable gets a bounded part; the rest is dropped and counted', async () => {
  const { webRtcTransport: transport, dataProducerDirect } = objects;
  // Nothing reads from it.
  const slow = new PassThrough();
  const capture = await transport.capture(slow);
  const peer = await peers.connect(transport, { channels: [{ id: 0, tally: true }, { id: 1 }] });
  for (let count = 0; count < 120; count++) {
    dataProducerDirect.send(Buffer.alloc(100_000));
    await peer.tally(0, count + 1);
  }
  await objects.worker.dump();
  expect(capture.packetsDropped).toBeGreaterThan(0);
  expect(slow.writableLength + slow.readableLength).toBeLessThan(5 * 1024 * 1024);
  const written = capture.packets;
  capture.close();
  const chunks: Buffer[] = [];
  for await (const chunk of slow) chunks.push(chunk as Buffer);
  const { packets, received, dropped } = read(Buffer.concat(chunks));
  expect(packets).toHaveLength(written);
  expect(dropped).toBe(capture.packetsDropped);
  expect(received).toBe(written + dropped);
});

test('while JavaScript is busy, a bounded part waits; the rest is dropped and counted', async () => {
  const { webRtcTransport: transport, dataProducerDirect, router } = objects;
  await peers.connect(transport, { channels: [{ id: 0, tally: true }, { id: 1 }] });
  const sink = new Sink();
  const capture = await transport.capture(sink);
  const end = Date.now() + PATIENCE;
  // Keeps the event loop busy until packets are dropped.
  while (capture.packetsDropped === 0 && Date.now() < end) {
    if (dataProducerDirect.bufferedAmount < 5_000_000)
      dataProducerDirect.send(Buffer.alloc(50_000));
  }
  expect(capture.packets).toBe(0);
  await router.dump();
  capture.close();
  const { packets, received, dropped } = await sink.file();
  expect(dropped).toBe(capture.packetsDropped);
  expect(dropped).toBeGreaterThan(0);
  expect(received).toBe(packets.length + dropped);
});

test('a Writable that fails or is destroyed ends the capture, and nothing else', async () => {
  const { webRtcTransport: transport, dataProducerDirect } = objects;
  const broken = new Writable({ write: (_chunk, _encoding, done) => done(new Error('disk full')) });
  const failed = once(broken, 'error');
  const capture = await transport.capture(broken);
  expect((await failed)[0]).toMatchObject({ message: 'disk full' });
  await until(broken, 'close', () => capture.closed);
  const peer = await peers.connect(transport, { channels: CHANNELS });
  dataProducerDirect.send('still here');
  await peer.untilMessages(0, 1);
  expect(transport.closed).toBe(false);
});

test('over plain UDP as well', async () => {
  const { router, directTransport } = objects;
  const create = (): Promise<types.PlainTransport> =>
    router.createPlainTransport({ listenInfo: LOOPBACK[0]!, enableSctp: true });
  const [near, far] = await Promise.all([create(), create()]);
  const sink = new Sink();
  const capture = await near.capture(sink);
  await near.connect({ ip: '127.0.0.1', port: far.tuple.localPort });
  await far.connect({ ip: '127.0.0.1', port: near.tuple.localPort });
  const dataProducer = await directTransport.produceData();
  await near.consumeData({ dataProducerId: dataProducer.id });
  await untilState(near, 'sctpState', 'connected');
  capture.close();
  const { packets } = await sink.file();
  expect(packets.some((it) => it.outbound && chunksOf(it).includes(INIT))).toBe(true);
});

test.each<[string, unknown]>([
  ['nothing', undefined],
  ['a path', '/tmp/capture.pcapng'],
  ['a Web Stream', new WritableStream()],
  ['a Writable in object mode', new Writable({ objectMode: true })],
  ['a destroyed Writable', new Writable().destroy()],
  ['an ended Writable', new PassThrough().end()],
])('capture() with %s rejects with a TypeError that names it', async (_title, writable) => {
  await expect(objects.webRtcTransport.capture(writable as Writable)).rejects.toThrow(
    /^writable must be a Writable.{1,300}$/,
  );
});

test('without packets, capture() rejects with an UnsupportedError', async () => {
  const transport = await objects.router.createWebRtcTransport({ listenInfos: LOOPBACK });
  const sink = new Sink();
  for (const each of [transport, objects.directTransport]) {
    await expect(each.capture(sink)).rejects.toMatchObject({ name: 'UnsupportedError' });
  }
  expect(sink.writableLength).toBe(0);
});

test('close() ends it in the worker as well', async () => {
  const closed = jest.spyOn(binding.Capture.prototype, 'close');
  const capture = await objects.webRtcTransport.capture(new Sink());
  capture.close();
  capture.close();
  expect(closed).toHaveBeenCalledTimes(1);
});

test('capture() rejects if the transport closes before it is answered', async () => {
  const { webRtcTransport: transport } = objects;
  const sink = new Sink();
  const capture = transport.capture(sink);
  transport.close();
  await expect(capture).rejects.toMatchObject({ name: 'NotFoundError' });
  expect(sink.writableLength).toBe(0);
});

test('of a closed transport, capture() rejects with a NotFoundError', async () => {
  objects.webRtcTransport.close();
  await expect(objects.webRtcTransport.capture(new Sink())).rejects.toMatchObject({
    name: 'NotFoundError',
  });
});
