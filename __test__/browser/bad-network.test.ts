import '../helpers/closeWorkers';
import { BadNetwork } from '../helpers/BadNetwork';
import { Inbox } from '../helpers/Inbox';
import { objects } from '../helpers/objects';
import { settled } from '../helpers/wait';
import { BrowserClient } from './client';
import { openPage } from './emptyPage';

/** Chromium behind a network that delays, loses, reorders and duplicates datagrams. */

/** Bytes per message: no two messages fit in one datagram. */
const SIZE = 1000;

let network: BadNetwork;

beforeEach(async () => {
  network = await BadNetwork.to(objects.webRtcTransport);
});

afterEach(() => network.close());

/** Channels 0 and 1 are ordered; channel 2 is unordered with maxRetransmits: 0. */
async function connect(): Promise<BrowserClient> {
  const init = (stream: number) => (stream === 2 ? { ordered: false, maxRetransmits: 0 } : {});
  const page = await openPage();
  return BrowserClient.connect(page, objects.webRtcTransport, [0, 1, 2], init, network.alter);
}

/** The text of message `number`. */
function text(number: number): string {
  return `${number} `.padEnd(SIZE, '.');
}

/** Sends `count` messages to the page on channel 0, each answered on channel 1 before the next. */
async function roundTrips(client: BrowserClient, inbox: Inbox, count: number): Promise<void> {
  const there = (await client.received(0, 0)).length;
  const back = inbox.messages.length;
  for (let trip = 1; trip <= count; trip++) {
    objects.dataProducerDirect.send('there');
    await client.received(0, there + trip);
    await client.send(1, 'and back');
    await inbox.count(back + trip);
  }
}

test('an ordered channel delivers every message once and in order, both ways at the same time', async () => {
  const count = 300;
  const inbox = new Inbox(objects.dataConsumerDirect);
  const client = await connect();
  await client.sendNumbered(1, count, SIZE);
  const texts = Array.from({ length: count }, (_, number) => text(number));
  texts.forEach((each) => objects.dataProducerDirect.send(each));
  expect(await client.received(0, count)).toEqual(texts);
  await inbox.count(count);
  expect(inbox.buffers.map((buffer) => buffer.readUInt32BE())).toEqual([...texts.keys()]);
  expect(network.lost.down.length * network.lost.up.length).toBeGreaterThan(0);
});

describe('an unordered channel with maxRetransmits: 0 loses only the messages whose datagrams were lost', () => {
  const COUNT = 300;

  test('to the page', async () => {
    const { directTransport, webRtcTransport, dataConsumerDirect } = objects;
    const source = await directTransport.produceData();
    await webRtcTransport.consumeData({
      dataProducerId: source.id,
      streamId: 2,
      ordered: false,
      maxRetransmits: 0,
    });
    const inbox = new Inbox(dataConsumerDirect);
    const client = await connect();
    await roundTrips(client, inbox, 1);
    const lost = network.lostFromNow('down', SIZE);
    for (let number = 0; number < COUNT; number++) {
      source.send(text(number));
    }
    const arrived = await settled(
      () => client.received(2, 0),
      ({ length }) => length,
      () => roundTrips(client, inbox, 5),
    );
    expect(new Set(arrived).size).toBe(arrived.length);
    expect(lost()).toBeGreaterThan(0);
    expect(COUNT - arrived.length).toBe(lost());
  });

  test('from the page', async () => {
    const { directTransport, webRtcTransport, dataConsumerDirect } = objects;
    const dataProducer = await webRtcTransport.produceData({
      sctpStreamParameters: { streamId: 2, ordered: false, maxRetransmits: 0 },
    });
    const dataConsumer = await directTransport.consumeData({ dataProducerId: dataProducer.id });
    const came = new Inbox(dataConsumer);
    const inbox = new Inbox(dataConsumerDirect);
    const client = await connect();
    await roundTrips(client, inbox, 1);
    const lost = network.lostFromNow('up', SIZE);
    const lostWithData = network.lostFromNow('up', 100);
    await client.sendNumbered(2, COUNT, SIZE);
    const arrived = await settled(
      () => came.buffers,
      ({ length }) => length,
      () => roundTrips(client, inbox, 5),
    );
    expect(new Set(arrived.map((buffer) => buffer.readUInt32BE())).size).toBe(arrived.length);
    expect(lost()).toBeGreaterThan(0);
    // Chromium fills its datagrams, so a lost one can hold a whole message, the end of the message before and the
    // beginning of the message after.
    expect(COUNT - arrived.length).toBeGreaterThanOrEqual(lost());
    expect(COUNT - arrived.length).toBeLessThanOrEqual(3 * lostWithData());
  });
});
