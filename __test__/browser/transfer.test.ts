/// <reference lib="dom" />

import '../helpers/closeWorkers';
import { BadNetwork } from '../helpers/BadNetwork';
import { LOOPBACK } from '../helpers/arrangement';
import { objects } from '../helpers/objects';
import { BrowserClient } from './client';
import { openPage } from './emptyPage';

/** A file from one page to another with a slow network. The sender paces itself by its own `bufferedAmount` only. */

const COUNT = 1_200;
const SIZE = 16 * 1024;
const STREAM = 0;

declare const channels: Map<number, { channel: RTCDataChannel }>;
declare const numbers: number[];

/** Makes the page keep the first four bytes of each message only. */
async function keepNumbers({ page }: BrowserClient): Promise<void> {
  await page.evaluate((stream) => {
    const got: number[] = [];
    Object.assign(globalThis, { numbers: got });
    channels.get(stream)!.channel.onmessage = ({ data }) =>
      got.push(new DataView(data).getUint32(0));
  }, STREAM);
}

/** Sends all messages. Resolves with how long that took, in milliseconds. */
async function sendFile({ page }: BrowserClient): Promise<number> {
  return page.evaluate(
    async ([stream, count, size]) => {
      const { channel } = channels.get(stream!)!;
      const begin = performance.now();
      channel.bufferedAmountLowThreshold = 256 * 1024;
      for (let number = 0; number < count!; number++) {
        if (channel.bufferedAmount > 1024 * 1024) {
          await new Promise((resolve) =>
            channel.addEventListener('bufferedamountlow', resolve, { once: true }),
          );
        }
        const message = new DataView(new ArrayBuffer(size!));
        message.setUint32(0, number);
        channel.send(message);
      }
      return performance.now() - begin;
    },
    [STREAM, COUNT, SIZE],
  );
}

test(`${COUNT} messages of 16 KiB arrive over 12 Mbit/s and a round trip of 40 ms, and none are dropped`, async () => {
  const { router, worker } = objects;
  const create = () => router.createWebRtcTransport({ listenInfos: LOOPBACK, enableSctp: true });
  const [from, to] = await Promise.all([create(), create()]);
  const dataProducer = await from.produceData({ sctpStreamParameters: { streamId: STREAM } });
  const dataConsumer = await to.consumeData({
    dataProducerId: dataProducer.id,
    streamId: STREAM,
    overflow: 'block',
    overflowTimeout: 60_000,
  });
  const narrow = { delay: 20, rate: 1_500_000, queue: 75_000 };
  const network = await BadNetwork.to(to, narrow);
  const sender = await BrowserClient.connect(await openPage(), from, [STREAM]);
  const receiver = await BrowserClient.connect(await openPage(), to, [STREAM], {}, network.alter);
  await keepNumbers(receiver);
  let held = 0;
  const sending = sendFile(sender);
  const look = setInterval(async () => {
    held = Math.max(held, (await worker.dump()).bytesHeld);
  }, 100);
  const taken = await sending;
  clearInterval(look);
  await receiver.page.waitForFunction((count) => numbers.length >= count, COUNT, {
    timeout: 60_000,
  });
  expect(await receiver.page.evaluate(() => numbers)).toEqual([...Array(COUNT).keys()]);
  // At 1.5 MB/s all of it takes 13 s. The page has sent its last message when at most 1 MiB waits there and 5 MB here.
  expect(taken).toBeGreaterThan(6_000);
  expect(held).toBeGreaterThan(1024 * 1024);
  expect(held).toBeLessThan(6 * 1024 * 1024);
  await expect(dataConsumer.getStats()).resolves.toMatchObject([
    { messagesSent: COUNT, messagesDropped: 0 },
  ]);
  await network.close();
}, 120_000);
