import '../helpers/closeWorkers';
import { BadNetwork } from '../helpers/BadNetwork';
import { Inbox } from '../helpers/Inbox';
import { allOf, numbered, Tally } from '../helpers/numbered';
import { objects } from '../helpers/objects';
import { peers } from '../helpers/peers';
import { settled, until } from '../helpers/wait';
import type { ChannelOptions, WebRtcPeer } from '../helpers/WebRtcPeers';

/** A WebRTC client (libdatachannel) behind a network that delays, loses, reorders and duplicates datagrams. */

jest.setTimeout(60_000);

/** Bytes per message: no two messages fit in one datagram. */
const SIZE = 1000;

let network: BadNetwork;

beforeEach(async () => {
  network = await BadNetwork.to(objects.webRtcTransport);
});

afterEach(() => network.close());

/** A client that reaches the transport only through the bad network. */
function connect(channels: ChannelOptions[]): Promise<WebRtcPeer> {
  return peers.connect(objects.webRtcTransport, { channels, alter: network.alter });
}

/** Sends `count` messages to the client on channel 0, each answered on channel 1 before the next. */
async function roundTrips(peer: WebRtcPeer, inbox: Inbox, count: number): Promise<void> {
  const [there, back] = [peer.messages.get(0)?.length ?? 0, inbox.messages.length];
  for (let trip = 1; trip <= count; trip++) {
    objects.dataProducerDirect.send('there');
    await peer.untilMessages(0, there + trip);
    await peer.send(1, 'and back');
    await inbox.count(back + trip);
  }
}

test('an ordered channel delivers every message once and in order, both ways at the same time', async () => {
  const { dataConsumerSctp, dataProducerDirect, dataConsumerDirect } = objects;
  const [count, size] = [200, 2500];
  const up = new Tally();
  dataConsumerDirect.on('message', (message) => up.add(message));
  const peer = await connect([{ id: 0, tally: true }, { id: 1 }]);
  await peer.sendNumbered(1, count, size);
  for (let number = 0; number < count; number++) {
    dataProducerDirect.send(numbered(number, size));
  }
  expect(await peer.tally(0, count)).toEqual(allOf(count, size));
  await until(
    dataConsumerDirect,
    'message',
    () => up.count >= count,
    () => `${count} messages, there are ${up.count}`,
  );
  expect(up.summary).toEqual(allOf(count, size));
  await expect(dataConsumerSctp.getStats()).resolves.toMatchObject([
    { messagesSent: count, messagesDropped: 0, bufferedAmount: 0 },
  ]);
  expect(network.lost.down.length * network.lost.up.length).toBeGreaterThan(0);
});

describe('an unordered channel with maxRetransmits: 0 loses only the messages whose datagrams were lost', () => {
  const COUNT = 300;
  const CHANNELS: ChannelOptions[] = [
    { id: 0 },
    { id: 1 },
    { id: 2, tally: true, unordered: true, maxRetransmits: 0 },
  ];

  test('to the client', async () => {
    const { directTransport, webRtcTransport, dataConsumerDirect } = objects;
    const source = await directTransport.produceData();
    await webRtcTransport.consumeData({
      dataProducerId: source.id,
      streamId: 2,
      ordered: false,
      maxRetransmits: 0,
    });
    const inbox = new Inbox(dataConsumerDirect);
    const peer = await connect(CHANNELS);
    await roundTrips(peer, inbox, 1);
    const lost = network.lostFromNow('down', SIZE);
    for (let number = 0; number < COUNT; number++) {
      source.send(numbered(number, SIZE));
    }
    const { count, distinct, damaged } = await settled(
      () => peer.tally(2, 0),
      (tally) => tally.count,
      () => roundTrips(peer, inbox, 5),
    );
    expect({ count, damaged }).toEqual({ count: distinct, damaged: 0 });
    expect(lost()).toBeGreaterThan(0);
    expect(COUNT - count).toBe(lost());
    const [stats] = await webRtcTransport.getStats();
    expect(stats!.messagesExpired).toBe(0);
    expect(stats!.messagesAbandoned).toBeGreaterThanOrEqual(COUNT - count);
  });

  test('from the client', async () => {
    const { directTransport, webRtcTransport, dataConsumerDirect } = objects;
    const dataProducer = await webRtcTransport.produceData({
      sctpStreamParameters: { streamId: 2, ordered: false, maxRetransmits: 0 },
    });
    const dataConsumer = await directTransport.consumeData({ dataProducerId: dataProducer.id });
    const up = new Tally();
    dataConsumer.on('message', (message) => up.add(message));
    const inbox = new Inbox(dataConsumerDirect);
    const peer = await connect(CHANNELS);
    await roundTrips(peer, inbox, 1);
    const lost = network.lostFromNow('up', SIZE);
    await peer.sendNumbered(2, COUNT, SIZE);
    const { count, distinct, damaged } = await settled(
      () => up.summary,
      (tally) => tally.count,
      () => roundTrips(peer, inbox, 5),
    );
    expect({ count, damaged }).toEqual({ count: distinct, damaged: 0 });
    expect(lost()).toBeGreaterThan(0);
    expect(COUNT - count).toBe(lost());
  });
});
