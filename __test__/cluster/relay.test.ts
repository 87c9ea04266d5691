import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';

import { memoryBus } from '../../lib/cluster/memoryBus';
import { Subjects } from '../../lib/cluster/messages';
import { Relay } from '../../lib/cluster/Relay';
import type { Bus } from '../../lib/cluster/types';

// What a relay does with datagrams that it cannot pass on.

const NAME = '1'.repeat(32);
const SUBJECT = `p.data.${NAME}`;

let bus: Bus;
let relay: Relay;
let pipe: Socket;
let counters: { bytesSent: number; bytesReceived: number; datagramsDropped: number };

beforeEach(async () => {
  bus = memoryBus();
  counters = { bytesSent: 0, bytesReceived: 0, datagramsDropped: 0 };
  relay = await Relay.open({ bus, subjects: new Subjects('p'), name: NAME, counters });
  pipe = createSocket('udp4').bind(0, '127.0.0.1');
  await once(pipe, 'listening');
});

afterEach(() => {
  relay.close();
  pipe.close();
});

/** A message of the bus that has datagrams of these lengths. */
function message(...lengths: number[]): Buffer {
  return Buffer.concat(
    lengths.flatMap((length) => {
      const head = Buffer.alloc(2);
      head.writeUInt16BE(length);
      return [head, Buffer.alloc(length, 1)];
    }),
  );
}

async function deliver(data: Buffer): Promise<void> {
  bus.publish(SUBJECT, data);
  await new Promise(setImmediate);
}

test('counts each datagram that comes before the pipe is there', async () => {
  await deliver(message(10, 20, 30));
  expect(counters).toEqual({ bytesSent: 0, bytesReceived: 0, datagramsDropped: 3 });
});

test('passes on what is whole, and counts what no relay has made', async () => {
  await relay.attach(pipe.address().port);
  const received: number[] = [];
  pipe.on('message', ({ length }) => received.push(length));
  await deliver(Buffer.alloc(1));
  await deliver(message(10, 20).subarray(0, -1));
  await deliver(message(...Array.from({ length: 61 }, () => 1000)));
  expect(counters.datagramsDropped).toBe(3);
  await deliver(message(30));
  while (received.length < 2) await once(pipe, 'message');
  expect(received).toEqual([10, 30]);
  expect(counters).toEqual({ bytesSent: 0, bytesReceived: 40, datagramsDropped: 3 });
});

test.each<[string, () => unknown]>([
  ['returns false', () => false],
  ['rejects', () => Promise.reject(new Error('away'))],
  [
    'throws',
    () => {
      throw new Error('away');
    },
  ],
])('counts what is lost because the bus %s', async (_, publish) => {
  await relay.attach(pipe.address().port);
  relay.connect('2'.repeat(32));
  bus.publish = publish;
  for (const text of ['one', 'two']) pipe.send(text, relay.port, '127.0.0.1');
  while (counters.datagramsDropped < 2) await new Promise(setImmediate);
  expect(counters).toEqual({ bytesSent: 0, bytesReceived: 0, datagramsDropped: 2 });
});
