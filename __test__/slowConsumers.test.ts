import './helpers/closeWorkers';
import type { types } from '..';
import { arrange, LOOPBACK } from './helpers/arrangement';
import { allOf, numbered } from './helpers/numbered';
import { nextEvent } from './helpers/wait';
import { WebRtcPeers, type WebRtcPeer } from './helpers/WebRtcPeers';

/** Some of a DataProducer's clients stop reading. `npm run robustness -- slow` measures 200 clients. */

const OTHERS = 10;
const FROZEN = 2;
const MESSAGES = 600;
const SIZE = 1_000;
const SEND_BUFFER = 100_000;

interface Served {
  peer: WebRtcPeer;
  consumer: types.DataConsumer;
}

async function serve(
  peers: WebRtcPeers,
  router: types.Router,
  options: types.DataConsumerOptions,
): Promise<Served> {
  const transport = await router.createWebRtcTransport({
    listenInfos: LOOPBACK,
    enableSctp: true,
    sctpSendBufferSize: SEND_BUFFER,
  });
  const consumer = await transport.consumeData(options);
  return { peer: await peers.connect(transport, { channels: [{ id: 0, tally: true }] }), consumer };
}

async function statsOf({ consumer }: Served): Promise<types.DataConsumerStat> {
  const [stats] = await consumer.getStats();
  return stats!;
}

test('2 of 12 clients are frozen: the others get every message; the queues of the two are bounded, drops are counted, and sctpsendbufferfull is emitted', async () => {
  const { worker, router, dataProducerDirect: producer } = await arrange();
  const [awake, asleep] = [new WebRtcPeers(), new WebRtcPeers()];
  const all = (count: number, peers: WebRtcPeers): Promise<Served[]> =>
    Promise.all(
      Array.from({ length: count }, () => serve(peers, router, { dataProducerId: producer.id })),
    );
  const [others, frozen] = [await all(OTHERS, awake), await all(FROZEN, asleep)];
  const full = Promise.all(frozen.map(({ consumer }) => nextEvent(consumer, 'sctpsendbufferfull')));

  asleep.freeze();
  // The DataProducer sends in steps, so that the other clients can keep up.
  for (let sent = 0; sent < MESSAGES;) {
    const until = sent + 50;
    while (sent < until) {
      producer.send(numbered(sent++, SIZE));
    }
    await Promise.all(others.map(({ peer }) => peer.tally(0, sent)));
  }
  await full;

  for (const each of others) {
    expect(await each.peer.tally(0, MESSAGES)).toEqual(allOf(MESSAGES, SIZE));
    expect(await statsOf(each)).toMatchObject({ messagesDropped: 0 });
  }
  for (const each of frozen) {
    const { messagesSent, messagesDropped, bufferedAmount } = await statsOf(each);
    expect(bufferedAmount).toBeGreaterThan(SEND_BUFFER - SIZE);
    expect(bufferedAmount).toBeLessThanOrEqual(SEND_BUFFER + SIZE);
    expect(messagesDropped).toBeGreaterThan(0);
    expect(messagesSent + messagesDropped).toBe(MESSAGES);
  }

  // The accepted messages arrive when the clients resume.
  asleep.thaw();
  for (const each of frozen) {
    const { messagesSent } = await statsOf(each);
    expect((await each.peer.tally(0, messagesSent)).count).toBe(messagesSent);
  }
  worker.close();
  await Promise.all([awake.close(), asleep.close()]);
}, 60_000);

test("with 'block' a frozen client holds up the others, until 'stalled'; they get every message; 'unstalled' follows when it resumes", async () => {
  const { worker, router, dataProducerDirect: producer } = await arrange();
  const [awake, asleep] = [new WebRtcPeers(), new WebRtcPeers()];
  const options = { dataProducerId: producer.id, overflow: 'block' } as const;
  const others = await Promise.all(
    // A busy machine does not stall them.
    Array.from({ length: OTHERS }, () =>
      serve(awake, router, { ...options, overflowTimeout: 30_000 }),
    ),
  );
  const { consumer } = await serve(asleep, router, { ...options, overflowTimeout: 500 });
  const stalled = nextEvent(consumer, 'stalled');

  asleep.freeze();
  for (let sent = 0; sent < MESSAGES; sent++) {
    producer.send(numbered(sent, SIZE));
  }
  await stalled;
  for (const each of others) {
    expect(await each.peer.tally(0, MESSAGES)).toEqual(allOf(MESSAGES, SIZE));
    expect(await statsOf(each)).toMatchObject({ messagesDropped: 0 });
  }
  const [{ messagesDropped } = { messagesDropped: 0 }] = await consumer.getStats();
  expect(messagesDropped).toBeGreaterThan(0);

  const unstalled = nextEvent(consumer, 'unstalled');
  asleep.thaw();
  await unstalled;
  worker.close();
  await Promise.all([awake.close(), asleep.close()]);
}, 60_000);
