import { setTimeout } from 'node:timers/promises';
import type { types } from '..';
import './helpers/closeWorkers';
import { notIntegers, titled } from './helpers/arguments';
import { Cable } from './helpers/cable';
import { Inbox } from './helpers/Inbox';
import { objects } from './helpers/objects';
import { peers } from './helpers/peers';
import { router, router2 } from './helpers/twoRouters';
import { until, untilState } from './helpers/wait';

/** How a transport shows when it last heard its peer, and notices that the peer is gone. */

const UDP = { listenInfo: { protocol: 'udp', ip: '127.0.0.1' }, enableSctp: true } as const;

let cable: Cable | undefined;

afterEach(async () => {
  await cable?.close();
  cable = undefined;
});

const KINDS = {
  plain: (on: types.Router, sctpSilence?: number) =>
    on.createPlainTransport({ ...UDP, sctpSilence }),
  pipe: (on: types.Router, sctpSilence?: number) => on.createPipeTransport({ ...UDP, sctpSilence }),
};

async function lastHeard(
  transport: types.Transport,
): Promise<{ lastHeard: number | undefined; timestamp: number }> {
  const [stat] = (await transport.getStats()) as types.BaseTransportStats[];
  return { lastHeard: stat!.lastHeard, timestamp: stat!.timestamp };
}

/** Two transports of this kind, connected by a cable, and what has arrived of the first at the second. */
async function connected(kind: keyof typeof KINDS, sctpSilence: [number?, number?]) {
  const near = await KINDS[kind](router, sctpSilence[0]);
  const far = await KINDS[kind](router2, sctpSilence[1]);
  const source = await (await router.createDirectTransport()).produceData();
  cable = await Cable.between(near, far);
  const { sctpStreamParameters } = await near.consumeData({ dataProducerId: source.id });
  const { id } = await far.produceData({ sctpStreamParameters: sctpStreamParameters! });
  const direct = await router2.createDirectTransport();
  const inbox = new Inbox(await direct.consumeData({ dataProducerId: id }));
  await untilState(near, 'sctpState', 'connected');
  await untilState(far, 'sctpState', 'connected');
  return { near, far, source, inbox };
}

describe.each(['plain', 'pipe'] as const)('a %s transport', (kind) => {
  test('with sctpSilence fails that long after the last packet, and no sooner', async () => {
    const { near, far, source, inbox } = await connected(kind, [1000, undefined]);
    source.send('before');
    await inbox.count(1);
    cable!.cut = true;
    await untilState(near, 'sctpState', 'failed');
    expect(near.sctpError?.code).toBe('peer-silent');
    const heard = await lastHeard(near);
    // The timestamp is that of the question, a little later.
    expect(heard.timestamp - heard.lastHeard!).toBeGreaterThanOrEqual(999);
    expect(near.closed).toBe(false);
    expect(far.sctpState).toBe('connected');
  });

  test('shows when it has heard its peer', async () => {
    const transport = await KINDS[kind](router);
    await expect(lastHeard(transport)).resolves.toMatchObject({ lastHeard: undefined });
    const { near, source, inbox } = await connected(kind, []);
    const first = await lastHeard(near);
    expect(first.lastHeard).toBeLessThanOrEqual(first.timestamp);
    source.send('its acknowledgement is a packet');
    await inbox.count(1);
    let latest = first;
    while (latest.lastHeard === first.lastHeard) {
      latest = await lastHeard(near);
    }
    expect(latest.lastHeard).toBeGreaterThan(first.lastHeard!);
    expect(latest.lastHeard).toBeLessThanOrEqual(latest.timestamp);
  });

  test('stays connected over a cut that is shorter than sctpSilence', async () => {
    const { near, far, source, inbox } = await connected(kind, [10_000, 10_000]);
    cable!.cut = true;
    source.send('lost at first');
    await until(near, 'sctpstatechange', () => near.sctpState === 'connected');
    cable!.cut = false;
    await inbox.count(1);
    expect([near.sctpState, far.sctpState]).toEqual(['connected', 'connected']);
  });

  test.each(titled<unknown>(notIntegers(1000, 0xffffffff)))(
    'sctpSilence: %s is a TypeError',
    async (_title, sctpSilence) => {
      const text = 'sctpSilence must be an integer from 1000 to 4294967295';
      await expect(KINDS[kind](router, sctpSilence as number)).rejects.toThrow(text);
    },
  );
});

test('a pipe carries again within a second of an outage of 2.5 s', async () => {
  const { near, far, source, inbox } = await connected('pipe', [6000, 6000]);
  const sending = setInterval(() => source.send('again and again'), 20);
  try {
    await inbox.count(10);
    cable!.cut = true;
    await setTimeout(2_500);
    cable!.cut = false;
    const mended = performance.now();
    const before = inbox.messages.length;
    await inbox.count(before + 1);
    // Timeouts are at most 800 ms apart in so short an outage.
    expect(performance.now() - mended).toBeLessThan(1_000);
    expect([near.sctpState, far.sctpState]).toEqual(['connected', 'connected']);
  } finally {
    clearInterval(sending);
  }
});

test('pipeToRouter() checks sctpSilence, and its transports hear no network', async () => {
  const producer = await (await router.createDirectTransport()).produceData();
  const options = { dataProducerId: producer.id, router: router2 };
  await expect(router.pipeToRouter({ ...options, sctpSilence: 999 })).rejects.toThrow(TypeError);
  const { pipeDataConsumer } = await router.pipeToRouter({ ...options, sctpSilence: 1000 });
  expect(pipeDataConsumer!.closed).toBe(false);
});

test('a WebRtcTransport shows when it has heard its client', async () => {
  const { webRtcTransport } = objects;
  await expect(lastHeard(webRtcTransport)).resolves.toMatchObject({ lastHeard: undefined });
  await peers.connect(webRtcTransport, { channels: [{ id: 0 }] });
  const { lastHeard: heard, timestamp } = await lastHeard(webRtcTransport);
  expect(heard).toBeLessThanOrEqual(timestamp);
  expect(heard).toBeGreaterThan(timestamp - 30_000);
});
