import '../helpers/closeWorkers';
import { setTimeout as sleep } from 'node:timers/promises';
import { BadNetwork } from '../helpers/BadNetwork';
import { objects } from '../helpers/objects';
import { BrowserClient } from './client';
import { openPage } from './emptyPage';

/**
 * A large message to Chromium after a second of silence: lost packets are sent again within round trips. `npm run
 * robustness -- networks --only=bursts` measures 100 of them.
 */

const SIZE = 256 * 1024;
const COUNT = 5;
/** How long a message may take, in milliseconds: at 10 Mbit/s its bytes alone take 210, and a round trip 40. */
const MOST = 1_000;

/** Sends messages of SIZE, each after a second of silence. Returns how long the slowest took. */
async function slowest(client: BrowserClient): Promise<number> {
  const text = 'x'.repeat(SIZE);
  let most = 0;
  for (let count = 1; count <= COUNT; count++) {
    await sleep(1_000);
    const sent = performance.now();
    objects.dataProducerDirect.send(text);
    await client.count(0, count);
    most = Math.max(most, performance.now() - sent);
  }
  expect(await client.received(0, COUNT)).toEqual(Array(COUNT).fill(text));
  return most;
}

test(`${COUNT} messages of 256 KiB arrive over loopback, each within a second`, async () => {
  const client = await BrowserClient.connect(await openPage(), objects.webRtcTransport, [0]);
  expect(await slowest(client)).toBeLessThan(MOST);
});

test(`${COUNT} messages of 256 KiB arrive over 10 Mbit/s and a queue of 40 ms, each within a second`, async () => {
  const narrow = { delay: 20, rate: 1_250_000, queue: 50_000 };
  const network = await BadNetwork.to(objects.webRtcTransport, narrow);
  const client = await BrowserClient.connect(
    await openPage(),
    objects.webRtcTransport,
    [0],
    {},
    network.alter,
  );
  expect(await slowest(client)).toBeLessThan(MOST);
  expect(network.lost.down.length).toBeGreaterThan(0);
  await network.close();
});
