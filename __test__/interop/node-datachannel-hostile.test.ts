import { randomBytes } from 'node:crypto';
import type * as dgram from 'node:dgram';
import '../helpers/closeWorkers';
import { arrange, LOOPBACK, type Arrangement } from '../helpers/arrangement';
import { EventRecorder } from '../helpers/EventRecorder';
import { Inbox } from '../helpers/Inbox';
import { peers } from '../helpers/peers';
import { closeSocket, udpSocket } from '../helpers/sockets';
import { attribute, bindingRequest, stun, SUCCESS } from '../helpers/stun';
import { nextMacrotask, untilState } from '../helpers/wait';
import type { WebRtcPeer } from '../helpers/WebRtcPeers';

/**
 * Datagrams of a stranger to a transport with an established session: no answer is larger than its request, and the
 * session stays up.
 */

let objects: Arrangement;
let peer: WebRtcPeer;
let inbox: Inbox;
let stranger: dgram.Socket;
/** The datagrams that the stranger received. */
let answers: Buffer[];

beforeAll(async () => {
  objects = await arrange();
  peer = await peers.connect(objects.webRtcTransport, { channels: [{ id: 0 }, { id: 1 }] });
  await untilState(objects.webRtcTransport, 'iceState', 'completed');
  inbox = new Inbox(objects.dataConsumerDirect);
});

beforeEach(async () => {
  stranger = await udpSocket();
  answers = [];
  stranger.on('message', (message) => answers.push(message));
});

afterEach(() => closeSocket(stranger));

afterAll(() => objects.worker.close());

/** Sends `datagrams` to the transport, and resolves once the transport has handled each of them. */
async function send(datagrams: Buffer[]): Promise<void> {
  const { port } = objects.webRtcTransport.iceCandidates[0]!;
  for (const datagram of datagrams) {
    await new Promise<void>((resolve, reject) => {
      stranger.send(datagram, port, '127.0.0.1', (error) => (error ? reject(error) : resolve()));
    });
  }
  await exchange();
  // The answers are in the receive buffer of the stranger's socket by now; let Node.js read them.
  await nextMacrotask();
  await nextMacrotask();
}

/** Sends one message from the established client to the server and one back. */
async function exchange(): Promise<void> {
  const received = inbox.messages.length;
  const sent = peer.messages.get(0)?.length ?? 0;
  await peer.send(1, `up ${received}`);
  await inbox.count(received + 1);
  expect(inbox.texts.at(-1)).toBe(`up ${received}`);
  objects.dataProducerDirect.send(`down ${sent}`);
  expect((await peer.untilMessages(0, sent + 1)).at(-1)).toBe(`down ${sent}`);
}

function expectSessionUp(recorder: EventRecorder): void {
  expect(recorder.take()).toEqual([]);
  expect(objects.webRtcTransport).toMatchObject({
    iceState: 'completed',
    dtlsState: 'connected',
    sctpState: 'connected',
  });
}

const datagramsOf: [string, () => Buffer[]][] = [
  ['an empty datagram', () => [Buffer.alloc(0)]],
  [
    'each of the 256 datagrams of one byte',
    () => Array.from({ length: 256 }, (_value, byte) => Buffer.from([byte])),
  ],
  [
    'random bytes after each possible first byte',
    () =>
      Array.from({ length: 256 }, (_value, byte) =>
        Buffer.concat([Buffer.from([byte]), randomBytes(1 + ((byte * 37) % 1200))]),
      ),
  ],
  ['datagrams of 60,000 bytes', () => [randomBytes(60_000), Buffer.alloc(60_000, 22)]],
  [
    'a DTLS ClientHello from a tuple that is not valid',
    () => [
      Buffer.concat([
        Buffer.from('16fefd0000000000000000002f0100002300000000000000230000', 'hex'),
        Buffer.from([254, 253]),
        randomBytes(32),
      ]),
    ],
  ],
  [
    'DTLS records with wrong lengths',
    () => [
      Buffer.from('16fefd0000000000000000ffff01', 'hex'),
      Buffer.from('17fefd00010000000000010000', 'hex'),
      Buffer.from('15fefd00000000000000000002025a', 'hex'),
    ],
  ],
  [
    'an SCTP packet without DTLS',
    () => [Buffer.from('1388138800000000000000000100001400000001', 'hex')],
  ],
  ['RTP and RTCP', () => [Buffer.from('8000000100000001', 'hex'), Buffer.from('80c80006', 'hex')]],
  ['STUN: a header cut short', () => [stun(1, []).subarray(0, 19), stun(1, []).subarray(0, 4)]],
  [
    'STUN: a wrong magic cookie',
    () => [Buffer.concat([Buffer.from([0, 1, 0, 0]), randomBytes(16)])],
  ],
  ['STUN: a wrong length', () => [stun(1, [], 400), stun(1, [attribute(6, Buffer.alloc(8))], 4)]],
  [
    'STUN: an unknown username',
    () => [bindingRequest('unknown:me', 'wrong'), bindingRequest(':', ''), bindingRequest('', '')],
  ],
  [
    'STUN: an indication, a response, an unknown method',
    () => [stun(0x0011, []), stun(0x0101, []), stun(0x0003, [])],
  ],
];

test.each(datagramsOf)(
  '%s: no answer is larger, and the session stays up',
  async (_title, make) => {
    const recorder = new EventRecorder().watch({ transport: objects.webRtcTransport });
    const datagrams = make();
    await send(datagrams);
    const sent = datagrams.reduce((bytes, { length }) => bytes + length, 0);
    const back = answers.reduce((bytes, { length }) => bytes + length, 0);
    expect(back).toBeLessThanOrEqual(sent);
    for (const answer of answers) {
      expect(answer.length).toBeLessThanOrEqual(Math.max(...datagrams.map(({ length }) => length)));
    }
    expectSessionUp(recorder);
  },
);

test('a Binding request with wrong integrity gets no success and no larger answer, and selects no tuple', async () => {
  const recorder = new EventRecorder().watch({ transport: objects.webRtcTransport });
  const { usernameFragment } = objects.webRtcTransport.iceParameters;
  const before = objects.webRtcTransport.iceSelectedTuple;
  const request = bindingRequest(`${usernameFragment}:stranger`, 'not the password');
  await send([request, request, request]);
  for (const answer of answers) {
    expect(answer.length).toBeLessThanOrEqual(request.length);
    // The answer must be an error, not a success response (RFC 8489 §5: class 0b10).
    expect(answer.readUInt16BE(0)).not.toBe(SUCCESS);
  }
  expect(objects.webRtcTransport.iceSelectedTuple).toEqual(before);
  expectSessionUp(recorder);
});

test('a Binding request without integrity gets no success and no larger answer', async () => {
  const recorder = new EventRecorder().watch({ transport: objects.webRtcTransport });
  const { usernameFragment } = objects.webRtcTransport.iceParameters;
  const request = stun(1, [attribute(0x0006, Buffer.from(`${usernameFragment}:stranger`))]);
  await send([request]);
  for (const answer of answers) {
    expect(answer.length).toBeLessThanOrEqual(request.length);
    expect(answer.readUInt16BE(0)).not.toBe(SUCCESS);
  }
  expectSessionUp(recorder);
});

test('a Binding request truncated at every length gets no success, and the session stays up', async () => {
  const recorder = new EventRecorder().watch({ transport: objects.webRtcTransport });
  const { usernameFragment, password } = objects.webRtcTransport.iceParameters;
  const request = bindingRequest(`${usernameFragment}:stranger`, password);
  const pieces = Array.from({ length: request.length - 1 }, (_value, index) =>
    request.subarray(0, index + 1),
  );
  await send(pieces);
  for (const answer of answers) {
    expect(answer.readUInt16BE(0)).not.toBe(SUCCESS);
    expect(answer.length).toBeLessThan(request.length);
  }
  expectSessionUp(recorder);
});

test('a Binding request with the right password gets a success (so the requests above fail for their defects only)', async () => {
  const transport = await objects.router.createWebRtcTransport({ listenInfos: LOOPBACK });
  const { usernameFragment, password } = transport.iceParameters;
  const request = bindingRequest(`${usernameFragment}:stranger`, password);
  stranger.send(request, transport.iceCandidates[0]!.port, '127.0.0.1');
  await untilState(transport, 'iceState', 'completed');
  while (answers.length === 0) {
    await nextMacrotask();
  }
  expect(answers[0]!.readUInt16BE(0)).toBe(SUCCESS);
  expect(answers[0]!.subarray(8, 20)).toEqual(request.subarray(8, 20));
  expect(transport.iceSelectedTuple).toMatchObject({
    remoteIp: '127.0.0.1',
    remotePort: stranger.address().port,
  });
  transport.close();
});

test('10,000 Binding requests with random username fragments cause no event, and the session stays up', async () => {
  const recorder = new EventRecorder().watch({ transport: objects.webRtcTransport });
  for (let round = 0; round < 20; round++) {
    await send(
      Array.from({ length: 500 }, () =>
        bindingRequest(`${randomBytes(16).toString('hex')}:x`, 'wrong'),
      ),
    );
  }
  expectSessionUp(recorder);
}, 60_000);
