/// <reference lib="dom" />

import type { types } from '../..';
import { channelOn, LOOPBACK } from '../helpers/arrangement';
import { router, worker } from '../helpers/router';
import { until } from '../helpers/wait';
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
