import { randomBytes } from 'node:crypto';
import type { types } from '../..';
import '../helpers/closeWorkers';
import { LOOPBACK } from '../helpers/arrangement';
import { EventRecorder } from '../helpers/EventRecorder';
import { Inbox } from '../helpers/Inbox';
import { allOf, numbered, Tally } from '../helpers/numbered';
import { objects } from '../helpers/objects';
import { peers } from '../helpers/peers';
import { until, untilState } from '../helpers/wait';
import { WebRtcPeers, type ChannelOptions } from '../helpers/WebRtcPeers';

/** Messages to and from a WebRTC client (libdatachannel). */

const CHANNELS = [{ id: 0 }, { id: 1 }];

describe('payload protocol identifiers and empty messages', () => {
  const toClient: [string, [string | Buffer, number?], string | Buffer][] = [
    ["'abc'", ['abc'], 'abc'],
    ['Buffer(3)', [Buffer.from([1, 2, 3])], Buffer.from([1, 2, 3])],
    ["''", [''], ''],
    ['Buffer(0)', [Buffer.alloc(0)], Buffer.alloc(0)],
    ["'', 56", ['', 56], ''],
    ["'abc', 56", ['abc', 56], ''],
    ['Buffer(3), 56', [Buffer.alloc(3), 56], ''],
    ['Buffer(0), 57', [Buffer.alloc(0), 57], Buffer.alloc(0)],
    ['Buffer(3), 57', [Buffer.alloc(3), 57], Buffer.alloc(0)],
    ["'abc', 57", ['abc', 57], Buffer.alloc(0)],
    ["'abc', 53", ['abc', 53], Buffer.from('abc')],
    ['Buffer(3), 51', [Buffer.from('abc'), 51], 'abc'],
    ["'é ✓ 😀'", ['é ✓ 😀'], 'é ✓ 😀'],
  ];

  test('dataProducer.send() and dataConsumer.send() deliver each payload as its PPID says', async () => {
    const { webRtcTransport, dataProducerDirect, dataConsumerSctp } = objects;
    const peer = await peers.connect(webRtcTransport, { channels: CHANNELS });
    for (const [, args] of toClient) {
      dataProducerDirect.send(...args);
      await expect(dataConsumerSctp.send(...args)).resolves.toBe(0);
    }
    const got = await peer.untilMessages(0, toClient.length * 2);
    expect(got).toEqual(toClient.flatMap(([, , expected]) => [expected, expected]));
  });

  test('send() copies: a change of the Buffer right after either call has no effect', async () => {
    const { webRtcTransport, dataProducerDirect, dataConsumerSctp } = objects;
    const peer = await peers.connect(webRtcTransport, { channels: CHANNELS });
    const [one, other] = [Buffer.from('first'), Buffer.from('second')];
    dataProducerDirect.send(one);
    const sent = dataConsumerSctp.send(other);
    one.fill('x');
    other.fill('x');
    await sent;
    expect(await peer.untilMessages(0, 2)).toEqual([Buffer.from('first'), Buffer.from('second')]);
  });

  test('messages of the client arrive with their PPIDs and are counted', async () => {
    const { webRtcTransport, dataConsumerDirect, dataProducerSctp } = objects;
    const inbox = new Inbox(dataConsumerDirect);
    const peer = await peers.connect(webRtcTransport, { channels: CHANNELS });
    await peer.send(1, 'abc');
    await peer.send(1, '');
    await peer.send(1, Buffer.from([1, 2, 3]));
    await peer.send(1, Buffer.alloc(0));
    await inbox.count(4);
    expect(inbox.messages.map(({ ppid }) => ppid)).toEqual([51, 56, 53, 57]);
    expect(inbox.buffers.map(({ length }) => length)).toEqual([3, 1, 3, 1]);
    expect(inbox.texts[0]).toBe('abc');
    expect(inbox.texts[2]).toBe('\x01\x02\x03');
    await expect(dataProducerSctp.getStats()).resolves.toMatchObject([
      { messagesReceived: 4, bytesReceived: 8 },
    ]);
  });

  test('messages from client to client stay text or bytes', async () => {
    const { router, webRtcTransport, dataProducerSctp } = objects;
    const other = await router.createWebRtcTransport({ listenInfos: LOOPBACK, enableSctp: true });
    await other.consumeData({ dataProducerId: dataProducerSctp.id });
    const sender = await peers.connect(webRtcTransport, { channels: CHANNELS });
    const receiver = await peers.connect(other, { channels: [{ id: 0 }] });
    const messages = ['text', '', Buffer.from('bytes'), Buffer.alloc(0), 'é ✓ 😀'];
    for (const message of messages) {
      await sender.send(1, message);
    }
    expect(await receiver.untilMessages(0, messages.length)).toEqual(messages);
  });

  test('a binary message that looks like DATA_CHANNEL_OPEN is delivered', async () => {
    const { webRtcTransport, dataConsumerDirect } = objects;
    const inbox = new Inbox(dataConsumerDirect);
    const peer = await peers.connect(webRtcTransport, { channels: CHANNELS });
    const open = Buffer.from('0300000000000000000000006368', 'hex');
    await peer.send(1, open);
    expect(await inbox.count(1)).toEqual([{ text: open.toString('latin1'), ppid: 53 }]);
  });

  test('a message on a stream without a DataProducer is dropped', async () => {
    const { webRtcTransport, dataConsumerDirect } = objects;
    const inbox = new Inbox(dataConsumerDirect);
    const peer = await peers.connect(webRtcTransport, { channels: [...CHANNELS, { id: 9 }] });
    await peer.send(9, 'no DataProducer');
    await peer.send(0, 'a DataConsumer only');
    await peer.send(1, 'a DataProducer');
    expect(await inbox.count(1)).toEqual([{ text: 'a DataProducer', ppid: 51 }]);
  });
});

describe('many messages on an ordered channel', () => {
  test.each([
    [1_000, 100],
    [100, 200_000],
    [10, 262_144],
  ])(
    '%d messages of %d B to the client arrive in order',
    async (count, size) => {
      const { webRtcTransport, dataConsumerSctp } = objects;
      const peer = await peers.connect(webRtcTransport, {
        channels: [{ id: 0, tally: true }, { id: 1 }],
      });
      for (let number = 0; number < count; number++) {
        // The queue holds 2 MB: a rejected message is sent again when there is room.
        for (;;) {
          try {
            await dataConsumerSctp.send(numbered(number, size));
            break;
          } catch (error) {
            expect(error).toMatchObject({ message: 'sctpsendbufferfull' });
            await until(
              dataConsumerSctp,
              'bufferedamountlow',
              () => dataConsumerSctp.bufferedAmount <= 1024,
            );
          }
        }
      }
      expect(await peer.tally(0, count)).toEqual(allOf(count, size));
      await expect(dataConsumerSctp.getBufferedAmount()).resolves.toBe(0);
    },
    60_000,
  );

  test.each([
    [1_000, 100],
    [100, 200_000],
    [10, 262_144],
  ])(
    '%d messages of %d B from the client arrive in order',
    async (count, size) => {
      const { webRtcTransport, dataConsumerDirect, dataProducerSctp } = objects;
      const tally = new Tally();
      dataConsumerDirect.on('message', (message) => tally.add(message));
      const peer = await peers.connect(webRtcTransport, { channels: CHANNELS });
      await peer.sendNumbered(1, count, size);
      await until(
        dataConsumerDirect,
        'message',
        () => tally.count === count,
        () => `${count} messages, there are ${tally.count}`,
        50_000,
      );
      expect(tally.summary).toEqual(allOf(count, size));
      await expect(dataProducerSctp.getStats()).resolves.toMatchObject([
        { messagesReceived: count, bytesReceived: count * size },
      ]);
    },
    60_000,
  );

  test('1,000 messages of 100 B from a direct DataProducer in one macrotask arrive in order', async () => {
    const { webRtcTransport, dataProducerDirect } = objects;
    const peer = await peers.connect(webRtcTransport, {
      channels: [{ id: 0, tally: true }, { id: 1 }],
    });
    for (let number = 0; number < 1_000; number++) {
      dataProducerDirect.send(numbered(number, 100));
    }
    expect(await peer.tally(0, 1_000)).toEqual(allOf(1_000, 100));
  });

  test('200 messages of 10 KB from client to client arrive in order', async () => {
    const { router, webRtcTransport, dataProducerSctp } = objects;
    const other = await router.createWebRtcTransport({
      listenInfos: LOOPBACK,
      enableSctp: true,
      sctpSendBufferSize: 64_000_000,
      sctpPerStreamSendQueueLimit: 64_000_000,
    });
    await other.consumeData({ dataProducerId: dataProducerSctp.id });
    const sender = await peers.connect(webRtcTransport, { channels: CHANNELS });
    const receiver = await peers.connect(other, { channels: [{ id: 0, tally: true }] });
    await sender.sendNumbered(1, 200, 10_000);
    expect(await receiver.tally(0, 200)).toEqual(allOf(200, 10_000));
  });

  test('a message of 100,000 random bytes arrives unchanged, both ways', async () => {
    const { webRtcTransport, dataProducerDirect, dataConsumerDirect } = objects;
    const inbox = new Inbox(dataConsumerDirect);
    const peer = await peers.connect(webRtcTransport, { channels: CHANNELS });
    const message = randomBytes(100_000);
    await peer.send(1, message);
    await inbox.count(1);
    expect(inbox.buffers[0]!.equals(message)).toBe(true);
    dataProducerDirect.send(message);
    const [got] = await peer.untilMessages(0, 1);
    expect((got as Buffer).equals(message)).toBe(true);
  });

  test('send() resolves with what is left when the association has taken what it can, and with 0 on an idle path', async () => {
    const { webRtcTransport, dataConsumerSctp } = objects;
    const peer = await peers.connect(webRtcTransport, { channels: [{ id: 0 }] });
    const send = (): Promise<number> => dataConsumerSctp.send(Buffer.alloc(100_000));
    const left = await Promise.all(Array.from({ length: 7 }, send));
    expect(left.every((amount) => amount > 0 && amount < 700_000)).toBe(true);
    expect(await peer.untilMessages(0, 7)).toHaveLength(7);
    await expect(dataConsumerSctp.send('x')).resolves.toBe(0);
  });

  test('a small message leaves before the large ones that were queued earlier on another stream', async () => {
    const { webRtcTransport, directTransport, dataConsumerSctp } = objects;
    const other = await directTransport.produceData();
    const second = await webRtcTransport.consumeData({ dataProducerId: other.id });
    const { streamId } = second.sctpStreamParameters!;
    const peer = await peers.connect(webRtcTransport, { channels: [{ id: 0 }, { id: streamId }] });
    // The worker emits bufferedamountlow in the order in which messages leave. The order at the client's process says
    // nothing, because node-datachannel has a queue per channel.
    const left: string[] = [];
    second.on('bufferedamountlow', () => left.push('small'));
    dataConsumerSctp.on('bufferedamountlow', () => left.push('large'));
    await second.setBufferedAmountLowThreshold(1);
    await dataConsumerSctp.setBufferedAmountLowThreshold(262_144);
    // All messages are sent in one macrotask, so that they reach the worker together.
    const large = Array.from({ length: 7 }, () => dataConsumerSctp.send(Buffer.alloc(262_144)));
    await Promise.all([...large, second.send('small')]);
    expect(await peer.untilMessages(streamId, 1)).toEqual(['small']);
    expect(await peer.untilMessages(0, 7)).toHaveLength(7);
    await objects.worker.dump();
    expect(left).toEqual(['small', 'large']);
  });
});

describe('unordered and partially reliable channels', () => {
  const kinds: [string, Omit<types.SctpStreamParameters, 'streamId'>, Partial<ChannelOptions>][] = [
    ['{ ordered: false }', { ordered: false }, { unordered: true }],
    ['{ maxRetransmits: 3 }', { maxRetransmits: 3 }, { unordered: true, maxRetransmits: 3 }],
    ['{ maxRetransmits: 0 }', { maxRetransmits: 0 }, { unordered: true, maxRetransmits: 0 }],
    [
      '{ maxPacketLifeTime: 1000 }',
      { maxPacketLifeTime: 1000 },
      { unordered: true, maxPacketLifeTime: 1000 },
    ],
  ];

  test.each(kinds)(
    'with %s every message arrives once, both ways',
    async (_title, parameters, channel) => {
      const { router, directTransport } = objects;
      const transport = await router.createWebRtcTransport({
        listenInfos: LOOPBACK,
        enableSctp: true,
      });
      const dataProducer = await transport.produceData({
        sctpStreamParameters: { streamId: 5, ...parameters },
      });
      const source = await directTransport.produceData();
      const dataConsumer = await transport.consumeData({
        dataProducerId: source.id,
        ...parameters,
      });
      expect(dataProducer.sctpStreamParameters).toEqual({
        streamId: 5,
        ordered: false,
        ...parameters,
      });
      expect(dataConsumer.sctpStreamParameters).toEqual({
        streamId: 0,
        ordered: false,
        ...parameters,
      });
      const tally = new Tally();
      const dataConsumerDirect = await directTransport.consumeData({
        dataProducerId: dataProducer.id,
      });
      dataConsumerDirect.on('message', (message) => tally.add(message));
      const peer = await peers.connect(transport, {
        channels: [
          { id: 0, tally: true, ...channel },
          { id: 5, ...channel },
        ],
      });
      // So few messages that loopback loses none.
      const COUNT = 50;
      for (let number = 0; number < COUNT; number++) {
        await dataConsumer.send(numbered(number, 1000));
      }
      expect(await peer.tally(0, COUNT)).toMatchObject({
        count: COUNT,
        damaged: 0,
        distinct: COUNT,
      });
      await peer.sendNumbered(5, COUNT, 1000);
      await until(dataConsumerDirect, 'message', () => tally.count === COUNT);
      expect(tally.summary).toMatchObject({ damaged: 0, distinct: COUNT });
    },
  );

  test('1,000 messages of 100 B on an unordered channel arrive once each, both ways', async () => {
    const { router, directTransport } = objects;
    const transport = await router.createWebRtcTransport({
      listenInfos: LOOPBACK,
      enableSctp: true,
    });
    const { id: dataProducerId } = await transport.produceData({
      sctpStreamParameters: { streamId: 5, ordered: false },
    });
    const source = await directTransport.produceData();
    await transport.consumeData({ dataProducerId: source.id, ordered: false });
    const tally = new Tally();
    const dataConsumer = await directTransport.consumeData({ dataProducerId });
    dataConsumer.on('message', (message) => tally.add(message));
    const peer = await peers.connect(transport, {
      channels: [
        { id: 0, tally: true, unordered: true },
        { id: 5, unordered: true },
      ],
    });
    for (let number = 0; number < 1_000; number++) {
      source.send(numbered(number, 100));
    }
    await peer.sendNumbered(5, 1_000, 100);
    expect(await peer.tally(0, 1_000)).toMatchObject({ damaged: 0, distinct: 1_000 });
    await until(dataConsumer, 'message', () => tally.count === 1_000);
    expect(tally.summary).toMatchObject({ damaged: 0, distinct: 1_000 });
  });
});

describe('queues', () => {
  test('messages queued before the client connects arrive in order', async () => {
    const { webRtcTransport, dataProducerDirect, dataConsumerSctp } = objects;
    await dataConsumerSctp.send('own');
    dataProducerDirect.send('routed');
    await dataConsumerSctp.send(Buffer.from('bytes'));
    expect(dataConsumerSctp.bufferedAmount).toBe(14);
    const peer = await peers.connect(webRtcTransport, { channels: CHANNELS });
    expect(await peer.untilMessages(0, 3)).toEqual(['own', 'routed', Buffer.from('bytes')]);
    await expect(dataConsumerSctp.getBufferedAmount()).resolves.toBe(0);
    expect(dataConsumerSctp.bufferedAmount).toBe(0);
  });

  test('sctpsendbufferfull is emitted while the queue is full, bufferedamountlow when it drains; accepted messages arrive', async () => {
    const { webRtcTransport, dataConsumerSctp } = objects;
    const recorder = new EventRecorder().watch({ dataConsumerSctp });
    const outcomes: unknown[] = [];
    for (let number = 0; number < 30; number++) {
      outcomes.push(
        await dataConsumerSctp.send(numbered(number, 100_000)).catch(({ message }) => message),
      );
    }
    expect(outcomes).toEqual([
      ...Array.from({ length: 20 }, (_value, index) => (index + 1) * 100_000),
      ...Array(10).fill('sctpsendbufferfull'),
    ]);
    await expect(dataConsumerSctp.getStats()).resolves.toMatchObject([
      {
        messagesSentDirectly: 20,
        bytesSentDirectly: 2_000_000,
        messagesRejected: 10,
        bufferedAmount: 2_000_000,
      },
    ]);
    expect(recorder.take()).toEqual(Array(10).fill('dataConsumerSctp sctpsendbufferfull'));
    const peer = await peers.connect(webRtcTransport, {
      channels: [{ id: 0, tally: true }, { id: 1 }],
    });
    expect(await peer.tally(0, 20)).toEqual(allOf(20, 100_000));
    await expect(dataConsumerSctp.getBufferedAmount()).resolves.toBe(0);
    const [low, ...more] = recorder.take();
    expect(more).toEqual([]);
    const [, amount] = /^dataConsumerSctp bufferedamountlow\((\d+)\)$/.exec(low!)!;
    expect(Number(amount)).toBeLessThanOrEqual(1024);
  });

  test('a frozen client: its queue fills; every accepted message arrives when it resumes', async () => {
    const sleeper = new WebRtcPeers();
    const { webRtcTransport, dataConsumerSctp } = objects;
    await dataConsumerSctp.setBufferedAmountLowThreshold(500_000);
    const peer = await sleeper.connect(webRtcTransport, {
      channels: [{ id: 0, tally: true }, { id: 1 }],
    });
    const recorder = new EventRecorder().watch({ dataConsumerSctp });
    sleeper.freeze();
    let accepted = 0;
    let rejected = 0;
    for (let count = 0; count < 60; count++) {
      try {
        await dataConsumerSctp.send(numbered(accepted, 100_000));
        accepted++;
      } catch (error) {
        expect(error).toMatchObject({ message: 'sctpsendbufferfull' });
        rejected++;
      }
    }
    expect(accepted).toBeGreaterThanOrEqual(20);
    expect(rejected).toBeGreaterThan(0);
    await objects.worker.dump();
    expect(recorder.take()).toEqual(Array(rejected).fill('dataConsumerSctp sctpsendbufferfull'));
    sleeper.thaw();
    expect(await peer.tally(0, accepted)).toEqual(allOf(accepted, 100_000));
    await expect(dataConsumerSctp.getBufferedAmount()).resolves.toBe(0);
    const lows = recorder.take();
    expect(lows).toHaveLength(1);
    const [, amount] = /^dataConsumerSctp bufferedamountlow\((\d+)\)$/.exec(lows[0]!)!;
    expect(Number(amount)).toBeLessThanOrEqual(500_000);
    await sleeper.close();
  }, 60_000);

  test('bufferedamountlow is not emitted while bufferedAmount stays below the threshold', async () => {
    const { webRtcTransport, dataConsumerSctp } = objects;
    const peer = await peers.connect(webRtcTransport, { channels: CHANNELS });
    const recorder = new EventRecorder().watch({ dataConsumerSctp });
    for (let count = 1; count <= 10; count++) {
      await dataConsumerSctp.send(Buffer.alloc(100));
      await peer.untilMessages(0, count);
    }
    expect(recorder.take()).toEqual([]);
  });

  test('a frozen client loses messages that another client gets', async () => {
    const sleeper = new WebRtcPeers();
    const { router, webRtcTransport, dataProducerDirect } = objects;
    const frozen = await router.createWebRtcTransport({ listenInfos: LOOPBACK, enableSctp: true });
    const slow = await frozen.consumeData({ dataProducerId: dataProducerDirect.id });
    await sleeper.connect(frozen, { channels: [{ id: 0 }] });
    const peer = await peers.connect(webRtcTransport, {
      channels: [{ id: 0, tally: true }, { id: 1 }],
    });
    sleeper.freeze();
    for (let number = 0; number < 100; number++) {
      dataProducerDirect.send(numbered(number, 50_000));
      await peer.tally(0, number + 1);
    }
    expect(await peer.tally(0, 100)).toEqual(allOf(100, 50_000));
    const [stats] = await slow.getStats();
    expect(stats!.messagesDropped).toBeGreaterThan(0);
    expect(stats!.messagesSent + stats!.messagesDropped).toBe(100);
    expect(stats!.bytesDropped).toBe(stats!.messagesDropped * 50_000);
    sleeper.thaw();
    await sleeper.close();
  }, 60_000);
});

describe('pause() and subchannels', () => {
  test('while a DataConsumer is paused, routed messages are dropped and send() rejects', async () => {
    const { webRtcTransport, dataProducerDirect, dataConsumerSctp } = objects;
    const peer = await peers.connect(webRtcTransport, { channels: CHANNELS });
    await dataConsumerSctp.pause();
    dataProducerDirect.send('a');
    await expect(dataConsumerSctp.send('b')).rejects.toThrow('message send failed');
    void dataConsumerSctp.resume();
    dataProducerDirect.send('c');
    await expect(dataConsumerSctp.send('d')).resolves.toEqual(expect.any(Number));
    expect(await peer.untilMessages(0, 2)).toEqual(['c', 'd']);
  });

  test('while the DataProducer of a client is paused, its messages are counted and dropped', async () => {
    const { webRtcTransport, dataProducerSctp, dataConsumerDirect } = objects;
    const inbox = new Inbox(dataConsumerDirect);
    const peer = await peers.connect(webRtcTransport, { channels: CHANNELS });
    await dataProducerSctp.pause();
    await peer.send(1, 'a');
    for (;;) {
      const [stats] = await dataProducerSctp.getStats();
      if (stats!.messagesReceived === 1) {
        break;
      }
    }
    await dataProducerSctp.resume();
    await peer.send(1, 'b');
    expect(await inbox.count(1)).toEqual([{ text: 'b', ppid: 51 }]);
  });

  test('a message with subchannels reaches only the clients that subscribe to one', async () => {
    const { router, webRtcTransport, directTransport } = objects;
    const other = await router.createWebRtcTransport({ listenInfos: LOOPBACK, enableSctp: true });
    const source = await directTransport.produceData();
    const { streamId } = (
      await webRtcTransport.consumeData({ dataProducerId: source.id, subchannels: [1] })
    ).sctpStreamParameters!;
    await other.consumeData({ dataProducerId: source.id, subchannels: [2] });
    const first = await peers.connect(webRtcTransport, { channels: [{ id: streamId }] });
    const second = await peers.connect(other, { channels: [{ id: 0 }] });
    source.send('to 1', undefined, [1]);
    source.send('to 2', undefined, [2]);
    source.send('to all');
    expect(await first.untilMessages(streamId, 2)).toEqual(['to 1', 'to all']);
    expect(await second.untilMessages(0, 2)).toEqual(['to 2', 'to all']);
  });
});

describe('sizes', () => {
  test('a message over maxReceiveMessageSize ends the association of that client only', async () => {
    const { router, directTransport, webRtcTransport, dataProducerDirect } = objects;
    const bounded = await router.createWebRtcTransport({
      listenInfos: LOOPBACK,
      enableSctp: true,
      maxReceiveMessageSize: 500,
    });
    const dataProducer = await bounded.produceData({ sctpStreamParameters: { streamId: 1 } });
    const inbox = new Inbox(await directTransport.consumeData({ dataProducerId: dataProducer.id }));
    const peer = await peers.connect(bounded, {
      channels: [{ id: 1 }],
      // The SDP gives a higher limit, so that the client sends messages larger than the real limit.
      alter: (sdp) => sdp.replace(/a=max-message-size:\d+/, 'a=max-message-size:262144'),
    });
    const other = await peers.connect(webRtcTransport, { channels: CHANNELS });
    await peer.send(1, Buffer.alloc(500));
    await inbox.count(1);
    await peer.send(1, Buffer.alloc(501));
    await until(
      bounded,
      'sctpstatechange',
      () => bounded.sctpState === 'closed' || bounded.sctpState === 'failed',
    );
    expect(bounded.closed).toBe(false);
    expect(dataProducer.closed).toBe(false);
    dataProducerDirect.send('still here');
    expect(await other.untilMessages(0, 1)).toEqual(['still here']);
    expect(inbox.buffers.map(({ length }) => length)).toEqual([500]);
  });

  test('dataConsumer.send() rejects a message of more than maxSendMessageSize bytes', async () => {
    const { router, dataProducerDirect } = objects;
    const bounded = await router.createWebRtcTransport({
      listenInfos: LOOPBACK,
      enableSctp: true,
      maxSendMessageSize: 1000,
    });
    const dataConsumer = await bounded.consumeData({ dataProducerId: dataProducerDirect.id });
    const peer = await peers.connect(bounded, { channels: [{ id: 0 }] });
    await expect(dataConsumer.send(Buffer.alloc(1001))).rejects.toThrow(TypeError);
    await dataConsumer.send(Buffer.alloc(1000));
    const [message] = await peer.untilMessages(0, 1);
    expect(message).toHaveLength(1000);
    await untilState(bounded, 'sctpState', 'connected');
  });
});
