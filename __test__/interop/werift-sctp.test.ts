import type * as dgram from 'node:dgram';
import { createUdpTransport, SCTP } from 'werift-sctp';
import type { types } from '../..';
import '../helpers/closeWorkers';
import { Inbox } from '../helpers/Inbox';
import { allOf, numbered, Tally } from '../helpers/numbered';
import { router } from '../helpers/router';
import { udpSocket } from '../helpers/sockets';
import { until, untilState, within } from '../helpers/wait';

/** A PlainTransport with SCTP over UDP; its peer is the SCTP implementation of werift. */

const PPID_STRING = 51;
const PPID_BINARY = 53;

let directTransport: types.DirectTransport;
let plain: types.PlainTransport;
let socket: dgram.Socket;
let far: SCTP;

beforeEach(async () => {
  directTransport = await router.createDirectTransport();
  socket = await udpSocket();
});

afterEach(() => far.stop());

/** Creates a PlainTransport and connects the peer, which opens the association. */
async function connect(comedia: boolean, options: types.SctpOptions = {}): Promise<void> {
  plain = await router.createPlainTransport({
    listenInfo: { protocol: 'udp', ip: '127.0.0.1' },
    enableSctp: true,
    comedia,
    ...options,
  });
  if (!comedia) {
    await plain.connect({ ip: '127.0.0.1', port: socket.address().port });
  }
  far = SCTP.client(
    createUdpTransport(socket, { address: '127.0.0.1', port: plain.tuple.localPort }),
  );
  const connected = far.stateChanged.connected.asPromise();
  await far.start(5000);
  await within(connected, 'the association of the far end');
  await untilState(plain, 'sctpState', 'connected');
}

describe.each([
  ['connect({ ip, port })', false],
  ['comedia', true],
])('with %s', (_title, comedia) => {
  beforeEach(() => connect(comedia));

  test('messages from the peer arrive with their PPIDs', async () => {
    const { id } = await plain.produceData({ sctpStreamParameters: { streamId: 3 } });
    const inbox = new Inbox(await directTransport.consumeData({ dataProducerId: id }));
    await far.send(3, PPID_STRING, Buffer.from('text'));
    await far.send(3, PPID_BINARY, Buffer.from('bytes'));
    await far.send(4, PPID_STRING, Buffer.from('no DataProducer'));
    await far.send(3, 99, Buffer.from('odd'));
    expect(await inbox.count(3)).toEqual([
      { text: 'text', ppid: 51 },
      { text: 'bytes', ppid: 53 },
      { text: 'odd', ppid: 99 },
    ]);
  });

  test('messages to the peer arrive with their PPIDs', async () => {
    const source = await directTransport.produceData();
    const dataConsumer = await plain.consumeData({ dataProducerId: source.id });
    const { streamId } = dataConsumer.sctpStreamParameters!;
    const got: [number, number, string][] = [];
    const three = new Promise<void>((resolve) => {
      far.onReceive.subscribe((stream, ppid, data) => {
        got.push([stream, ppid, data.toString()]);
        if (got.length === 3) {
          resolve();
        }
      });
    });
    source.send('text');
    source.send(Buffer.from('bytes'));
    await dataConsumer.send('own', 99);
    await within(three, 'three messages at the far end');
    expect(got).toEqual([
      [streamId, 51, 'text'],
      [streamId, 53, 'bytes'],
      [streamId, 99, 'own'],
    ]);
  });

  test('200 messages of 1 KB arrive in order, both ways at the same time', async () => {
    const COUNT = 200;
    const source = await directTransport.produceData();
    await plain.consumeData({ dataProducerId: source.id });
    const { id } = await plain.produceData({ sctpStreamParameters: { streamId: 0 } });
    const dataConsumer = await directTransport.consumeData({ dataProducerId: id });
    const here = new Tally();
    dataConsumer.on('message', (message) => here.add(message));
    const there = new Tally();
    const all = new Promise<void>((resolve) => {
      far.onReceive.subscribe((_stream, _ppid, data) => {
        there.add(data);
        if (there.count === COUNT) {
          resolve();
        }
      });
    });
    for (let number = 0; number < COUNT; number++) {
      source.send(numbered(number, 1000));
      await far.send(0, PPID_BINARY, numbered(number, 1000));
    }
    await until(dataConsumer, 'message', () => here.count === COUNT);
    await within(all, `${COUNT} messages at the far end`);
    expect(here.summary).toEqual(allOf(COUNT, 1000));
    expect(there.summary).toEqual(allOf(COUNT, 1000));
  });

  test('transport.close() closes the association of the peer', async () => {
    const closed = far.stateChanged.closed.asPromise();
    plain.close();
    await within(closed, 'the end of the association at the far end');
    expect(far.state).toBe('closed');
  });
});

describe('sctpError says how the peer has ended the association, or made it end', () => {
  /** Sends a chunk (RFC 9260 §3.2) in the association of the peer. */
  async function sendChunk(type: number, flags: number, value: Buffer): Promise<void> {
    const header = Buffer.from([type, flags, 0, 0]);
    header.writeUInt16BE(4 + value.length, 2);
    const padding = Buffer.alloc((4 - (value.length % 4)) % 4);
    const chunk = { bytes: Buffer.concat([header, value, padding]) };
    await far.sendChunk(chunk as Parameters<SCTP['sendChunk']>[0]);
  }

  /** Sends the DATA chunk that is `index` chunks after those of the stack itself. */
  async function sendData(index: number, stream: number, flags: number, payload: Buffer) {
    const header = Buffer.alloc(12);
    const { localTsn } = far as unknown as { localTsn: number };
    header.writeUInt32BE((localTsn + index) >>> 0, 0);
    header.writeUInt16BE(stream, 4);
    header.writeUInt32BE(PPID_BINARY, 8);
    await sendChunk(0, flags, Buffer.concat([header, payload]));
  }

  async function expectError(code: types.SctpErrorCode, message: RegExp): Promise<void> {
    await untilState(plain, 'sctpState', 'closed');
    expect(plain.sctpError).toEqual({ code, message: expect.stringMatching(message) });
    const { findings } = await plain.diagnose();
    expect(findings).toEqual([{ ...plain.sctpError, hint: expect.stringMatching(/./) }]);
  }

  test("an ABORT with an error cause: 'peer-aborted'", async () => {
    await connect(false);
    // Out of Resource (RFC 9260 §3.3.10.4).
    await sendChunk(6, 0, Buffer.from([0, 4, 0, 4]));
    await expectError('peer-aborted', /cause: out of resource$/);
  });

  test("a DATA chunk without user data: 'protocol-violation'", async () => {
    await connect(false);
    await sendData(0, 3, 0b11, Buffer.alloc(0));
    await expectError('protocol-violation', /^aborted because of the peer: /);
  });

  test("messages that it begins and does not end: 'receive-buffer-exhausted'", async () => {
    await connect(false, { maxReceiveMessageSize: 2_000, sctpMaxReceiverWindowBufferSize: 0 });
    for (let stream = 0; plain.sctpState === 'connected'; stream++) {
      // A first fragment.
      await sendData(stream, stream, 0b10, Buffer.alloc(1_100));
      await router.dump();
    }
    await expectError('receive-buffer-exhausted', /fragments/);
  });
});
