import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import type { types } from '../..';
import '../helpers/closeWorkers';
import { router } from '../helpers/router';
import { freePort } from '../helpers/sockets';
import { until, untilState } from '../helpers/wait';

/** A PlainTransport with usrsctp's throughput tool `tsctp` as its peer: SCTP over UDP at full speed. */

const TSCTP = process.env.TSCTP_PATH ?? '/usr/lib/usrsctp/tsctp';
/** The PPID of messages from tsctp, which sets none. */
const NO_PPID = 0;

let directTransport: types.DirectTransport;
let tsctp: ChildProcess | undefined;

beforeAll(() => {
  if (!existsSync(TSCTP)) {
    throw new Error(
      `there is no ${TSCTP}: install Debian's libusrsctp-examples, or set TSCTP_PATH`,
    );
  }
});

beforeEach(async () => {
  directTransport = await router.createDirectTransport();
});

afterEach(() => {
  tsctp?.kill('SIGKILL');
});

function start(args: (string | number)[]): ChildProcess {
  // The output is ignored, because tsctp prints a lot of debugging output.
  tsctp = spawn(TSCTP, args.map(String), { stdio: 'ignore' });
  return tsctp;
}

describe.each([
  { length: 100, messages: 20_000, options: [] },
  { length: 1_000, messages: 20_000, options: [] },
  { length: 65_536, messages: 200, options: [] },
  { length: 1_000, messages: 5_000, options: ['-u'] },
])('tsctp -n $messages -l $length $options', ({ length, messages, options }) => {
  test('every message that tsctp sends arrives', async () => {
    const transport = await router.createPlainTransport({
      listenInfo: { protocol: 'udp', ip: '127.0.0.1' },
      enableSctp: true,
      comedia: true,
    });
    const producer = await transport.produceData({ sctpStreamParameters: { streamId: 0 } });
    const consumer = await directTransport.consumeData({ dataProducerId: producer.id });
    let received = 0;
    consumer.on('message', (message, ppid) => {
      expect([message.length, ppid]).toEqual([length, NO_PPID]);
      received++;
    });
    const remote = await freePort();
    const { localPort } = transport.tuple;
    const common = ['-E', remote, '-U', localPort, '-p', 5000, '-l', length, '-n', messages];
    const exit = once(start([...common, ...options, '127.0.0.1']), 'exit');
    await until(
      consumer,
      'message',
      () => received === messages,
      () => `${received} messages`,
    );
    await untilState(transport, 'sctpState', 'closed');
    expect(await exit).toEqual([0, null]);
    expect(transport.tuple.remotePort).toBe(remote);
    await expect(producer.getStats()).resolves.toMatchObject([
      { messagesReceived: messages, bytesReceived: messages * length },
    ]);
  });
});

test('tsctp receives every message that a DataConsumer sends', async () => {
  const remote = await freePort();
  const transport = await router.createPlainTransport({
    listenInfo: { protocol: 'udp', ip: '127.0.0.1' },
    enableSctp: true,
  });
  start(['-E', remote, '-U', transport.tuple.localPort, '-p', 5000]);
  await transport.connect({ ip: '127.0.0.1', port: remote });
  const producer = await directTransport.produceData();
  const consumer = await transport.consumeData({ dataProducerId: producer.id });
  await untilState(transport, 'sctpState', 'connected');
  const message = Buffer.alloc(1000, 1);
  for (let sent = 0; sent < 1000; sent++) {
    producer.send(message);
  }
  // The worker answers once it has all messages.
  await consumer.setBufferedAmountLowThreshold(0);
  // The buffered amount is 0 once the peer has acknowledged every message.
  await until(consumer, 'bufferedamountlow', () => consumer.bufferedAmount === 0);
  await expect(consumer.getStats()).resolves.toMatchObject([
    { messagesSent: 1000, bytesSent: 1_000_000, bufferedAmount: 0, messagesDropped: 0 },
  ]);
  expect(transport.sctpState).toBe('connected');
});
