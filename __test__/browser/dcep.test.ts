/// <reference lib="dom" />

import type { types } from '../..';
import { channelOn, LOOPBACK } from '../helpers/arrangement';
import { router, worker } from '../helpers/router';
import { Inbox } from '../helpers/Inbox';
import { nextEvent, until } from '../helpers/wait';
import { BrowserClient } from './client';
import { openPage } from './emptyPage';

/** Channels that Chromium, without mediasoup-client, opens in band (RFC 8832). */

let transport: types.WebRtcTransport;
let direct: types.DirectTransport;

beforeEach(async () => {
  transport = await router.createWebRtcTransport({ listenInfos: LOOPBACK, enableSctp: true });
  direct = await router.createDirectTransport();
});

test.each<[string, RTCDataChannelInit]>([
  ['reliable', {}],
  ['with a protocol', { protocol: 'x-bouillon' }],
  ['unordered, with maxRetransmits: 0', { ordered: false, maxRetransmits: 0 }],
  ['ordered, with maxPacketLifeTime', { maxPacketLifeTime: 500 }],
])('%s: two channels carry messages both ways', async (_title, init) => {
  const [first, second] = [
    await channelOn(transport, direct, 0),
    await channelOn(transport, direct, 2),
  ];
  const client = await BrowserClient.connect(await openPage(), transport, [0, 2], {
    negotiated: false,
    ...init,
  });
  expect(await client.streams()).toEqual([0, 2]);

  await client.send(0, 'on the first');
  await client.send(2, 'on the second');
  expect(await first.inbox.count(1)).toEqual([{ text: 'on the first', ppid: 51 }]);
  expect(await second.inbox.count(1)).toEqual([{ text: 'on the second', ppid: 51 }]);
  first.source.send('routed');
  await second.dataConsumer.send('to this client');
  expect(await client.received(0, 1)).toEqual(['routed']);
  expect(await client.received(2, 1)).toEqual(['to this client']);
  // DATA_CHANNEL_OPEN does not count as a message.
  await expect(first.dataProducer.getStats()).resolves.toMatchObject([{ messagesReceived: 1 }]);
});

test("a channel that the page closes: 'streamclose' on the DataProducer, the DataConsumer closes, and the page's channel too", async () => {
  const { dataProducer, dataConsumer } = await channelOn(transport, direct, 0);
  const client = await BrowserClient.connect(await openPage(), transport, [0], {
    negotiated: false,
  });
  let streamclosed = false;
  dataProducer.on('streamclose', () => (streamclosed = true));
  await client.closeChannel(0);
  await until(dataConsumer.observer, 'close', () => dataConsumer.closed);
  await worker.dump();
  expect(streamclosed).toBe(true);
  expect(dataProducer.closed).toBe(false);
  await client.untilClosed(0);
});

test('dataConsumer.close() closes the channel in the page', async () => {
  const { dataConsumer } = await channelOn(transport, direct, 0);
  const client = await BrowserClient.connect(await openPage(), transport, [0], {
    negotiated: false,
  });
  dataConsumer.close();
  await client.untilClosed(0);
});

test('100 messages on a channel that the server did not expect all arrive, with label and protocol', async () => {
  const announced = nextEvent(transport, 'datachannel');
  const client = await BrowserClient.connect(await openPage(), transport, [0], {
    negotiated: false,
    protocol: 'x-bouillon',
  });
  await client.sendNumbered(0, 100, 1000);
  const [dataChannel] = await announced;
  expect(dataChannel).toEqual({
    streamId: 0,
    ordered: true,
    label: 'channel 0',
    protocol: 'x-bouillon',
  });
  const dataProducer = await transport.produceData({
    sctpStreamParameters: { streamId: 0 },
    paused: true,
    whilePaused: 'hold',
  });
  const dataConsumer = await direct.consumeData({ dataProducerId: dataProducer.id });
  const inbox = new Inbox(dataConsumer);
  expect(dataConsumer).toMatchObject({ label: 'channel 0', protocol: 'x-bouillon' });
  await dataProducer.resume();
  await inbox.count(100);
  const numbers = inbox.buffers.map((message) => message.readUInt32BE(0));
  expect(numbers).toEqual([...numbers.keys()]);
});

test('consumeData({ negotiated: false }) opens a channel in the page, with label and protocol', async () => {
  const client = await BrowserClient.connect(await openPage(), transport, [100]);
  await client.page.evaluate(() => {
    const opened: unknown[] = [];
    Object.assign(globalThis, { opened });
    (globalThis as any).connection.ondatachannel = ({ channel }: RTCDataChannelEvent) => {
      const { id, label, protocol, ordered, maxRetransmits } = channel;
      opened.push({ id, label, protocol, ordered, maxRetransmits });
      channel.onmessage = ({ data }) => opened.push(data);
    };
  });
  const source = await direct.produceData({ label: 'Sûppe', protocol: 'x-bouillon' });
  const dataConsumer = await transport.consumeData({
    dataProducerId: source.id,
    negotiated: false,
    maxRetransmits: 2,
  });
  source.send('hello');
  await client.page.waitForFunction(() => (globalThis as any).opened.length >= 2);
  const id = dataConsumer.sctpStreamParameters!.streamId;
  expect(id % 2).toBe(1);
  expect(await client.page.evaluate(() => (globalThis as any).opened)).toEqual([
    { id, label: 'Sûppe', protocol: 'x-bouillon', ordered: false, maxRetransmits: 2 },
    'hello',
  ]);
});
