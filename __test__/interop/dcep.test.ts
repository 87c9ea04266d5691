import { channelOn, type Channel } from '../helpers/arrangement';
import { closes, EventRecorder } from '../helpers/EventRecorder';
import { Inbox } from '../helpers/Inbox';
import { objects } from '../helpers/objects';
import { peers } from '../helpers/peers';
import { nextEvent, until, untilState } from '../helpers/wait';
import type { ChannelOptions, WebRtcPeer } from '../helpers/WebRtcPeers';

/**
 * Clients that open their channels in band, by a DATA_CHANNEL_OPEN (RFC 8832), and use one channel for both
 * directions. The server creates a DataProducer and a DataConsumer for the stream of the channel.
 */

/** The id of the channel. It is even, as a DTLS client uses even ids (RFC 8832 §6). */
const ID = 4;

function channelFor(streamId: number): Promise<Channel> {
  return channelOn(objects.webRtcTransport, objects.directTransport, streamId);
}

/** A client whose channels are open, so that their OPENs have been acknowledged. */
function connect(...channels: Partial<ChannelOptions>[]): Promise<WebRtcPeer> {
  return peers.connect(objects.webRtcTransport, {
    channels: channels.map((channel) => ({ id: ID, negotiated: false, ...channel })),
  });
}

const kinds: [string, Partial<ChannelOptions>][] = [
  ['reliable', {}],
  ['with a label and a protocol', { label: 'Sûppe', protocol: 'x-bouillon' }],
  ['unordered', { unordered: true }],
  ['ordered with maxRetransmits', { maxRetransmits: 3 }],
  ['unordered with maxRetransmits: 0', { unordered: true, maxRetransmits: 0 }],
  ['unordered with maxPacketLifeTime', { unordered: true, maxPacketLifeTime: 500 }],
];

describe('a channel that the client opens in band', () => {
  test.each(kinds)('opens and carries messages both ways: %s', async (_title, options) => {
    const { dataProducer, inbox, dataConsumer, source } = await channelFor(ID);
    const peer = await connect(options);

    await peer.send(ID, 'text');
    await peer.send(ID, Buffer.from([0, 255]));
    const messages = await inbox.count(2);
    const sorted = [...messages].sort((a, b) => a.ppid - b.ppid);
    expect(sorted).toEqual([
      { text: 'text', ppid: 51 },
      { text: '\u0000\u00ff', ppid: 53 },
    ]);

    await dataConsumer.send('to this client');
    await peer.untilMessages(ID, 1);
    source.send(Buffer.from('routed'));
    expect(await peer.untilMessages(ID, 2)).toEqual(['to this client', Buffer.from('routed')]);

    // DATA_CHANNEL_OPEN does not count as a message.
    await expect(dataProducer.getStats()).resolves.toMatchObject([
      { messagesReceived: 2, bytesReceived: 6 },
    ]);
    expect(inbox.messages).toHaveLength(2);
  });

  test('opens before its DataProducer and DataConsumer are created, and carries messages then', async () => {
    const recorder = new EventRecorder().watch({ transport: objects.webRtcTransport });
    const peer = await connect({});
    await untilState(objects.webRtcTransport, 'iceState', 'completed');
    await untilState(objects.webRtcTransport, 'sctpState', 'connected');
    await objects.worker.dump();
    const events = recorder.take().filter((line) => !/(state|tuple)change/.test(line));
    expect(events.map((line) => line.replace(/\(.*/, ''))).toEqual([
      'transport datachannel',
      'transport.observer datachannel',
    ]);

    const { inbox, dataConsumer } = await channelFor(ID);
    await peer.send(ID, 'to Node');
    await inbox.count(1);
    await dataConsumer.send('to the client');
    await peer.untilMessages(ID, 1);
  });

  test('opens next to negotiated channels, which keep working', async () => {
    const { inbox } = await channelFor(ID);
    const peer = await connect({}, { id: 0, negotiated: true }, { id: 1, negotiated: true });
    const negotiated = new Inbox(objects.dataConsumerDirect);

    await peer.send(1, 'negotiated');
    await peer.send(ID, 'in band');
    expect((await negotiated.count(1)).map(({ text }) => text)).toEqual(['negotiated']);
    expect((await inbox.count(1)).map(({ text }) => text)).toEqual(['in band']);
    objects.dataProducerDirect.send('to stream 0');
    expect(await peer.untilMessages(0, 1)).toEqual(['to stream 0']);
  });

  test('carries its own messages when there are 32 channels', async () => {
    const ids = Array.from({ length: 32 }, (_, index) => 100 + 2 * index);
    const channels = await Promise.all(ids.map((id) => channelFor(id)));
    const peer = await connect(...ids.map((id) => ({ id })));

    await Promise.all(ids.map((id) => peer.send(id, `to Node on ${id}`)));
    await Promise.all(channels.map(({ inbox }) => inbox.count(1)));
    expect(channels.map(({ inbox }) => inbox.texts)).toEqual(ids.map((id) => [`to Node on ${id}`]));

    channels.forEach(({ source }, index) => source.send(`to the client on ${ids[index]}`));
    for (const id of ids) {
      expect(await peer.untilMessages(id, 1)).toEqual([`to the client on ${id}`]);
    }
  });

  test('opens on an odd id if the client is DTLS server', async () => {
    const { inbox, dataConsumer } = await channelFor(5);
    const peer = await peers.connect(objects.webRtcTransport, {
      role: 'server',
      channels: [{ id: 5, negotiated: false }],
    });
    await peer.send(5, 'to Node');
    await inbox.count(1);
    await dataConsumer.send('to the client');
    await peer.untilMessages(5, 1);
  });

  test('carries messages that follow its OPEN, in order', async () => {
    const { inbox } = await channelFor(ID);
    const peer = await connect({});
    await peer.sendNumbered(ID, 100, 1000);
    await inbox.count(100);
    expect(inbox.buffers.map((buffer) => buffer.length)).toEqual(Array(100).fill(1000));
  });
});

describe('a channel that the client opens in band and closes', () => {
  test("emits 'streamclose' on DataProducer and DataConsumer, and closes only the DataConsumer", async () => {
    const { dataProducer, dataConsumer } = await channelFor(ID);
    const peer = await connect({});
    const recorder = new EventRecorder().watch({ dataProducer, dataConsumer });
    await peer.closeChannel(ID);
    await until(dataConsumer.observer, 'close', () => dataConsumer.closed);
    await objects.worker.dump();
    expect(recorder.take().sort()).toEqual([
      ...closes('dataConsumer', 'streamclose').sort(),
      'dataProducer streamclose',
    ]);
    expect(dataProducer.closed).toBe(false);
  });

  test('can be opened again, and carries messages both ways', async () => {
    const { directTransport, webRtcTransport } = objects;
    const { inbox, dataConsumer } = await channelFor(ID);
    const peer = await connect({}, { id: 0, negotiated: true });
    await peer.send(ID, 'before');
    await inbox.count(1);
    const streamclose = nextEvent(dataConsumer, 'streamclose');
    await peer.closeChannel(ID);
    await streamclose;
    // The id is free once both directions are reset (RFC 8831 §6.7). The client does not report the reset of the
    // server's direction, but a message that the server sends afterwards arrives after the reset.
    objects.dataProducerDirect.send('reset');
    await peer.untilMessages(0, 1);

    await peer.openChannel({ id: ID, negotiated: false });
    await peer.untilOpen();
    await peer.send(ID, 'after');
    expect((await inbox.count(2)).map(({ text }) => text)).toEqual(['before', 'after']);

    const source = await directTransport.produceData();
    const again = await webRtcTransport.consumeData({ dataProducerId: source.id, streamId: ID });
    await again.send('answer');
    expect(await peer.untilMessages(ID, 1)).toEqual(['answer']);
  });
});

describe('consumeData({ streamId })', () => {
  test('uses that stream, and other DataConsumers get other streams', async () => {
    const { webRtcTransport, dataProducerDirect } = objects;
    const dataProducerId = dataProducerDirect.id;
    // The test uses stream 1, because stream 0 is in use.
    const taken = await webRtcTransport.consumeData({ dataProducerId, streamId: 1 });
    expect(taken.sctpStreamParameters).toEqual({ streamId: 1, ordered: true });
    const next = await webRtcTransport.consumeData({ dataProducerId });
    expect(next.sctpStreamParameters?.streamId).toBe(2);
  });

  test('rejects with an Error if another DataConsumer uses the stream', async () => {
    const { webRtcTransport, dataProducerDirect } = objects;
    const dataProducerId = dataProducerDirect.id;
    await webRtcTransport.consumeData({ dataProducerId, streamId: 7 });
    const again = webRtcTransport.consumeData({ dataProducerId, streamId: 7 });
    await expect(again).rejects.toThrow(/stream.*7/);
    await expect(again).rejects.not.toThrow(TypeError);
  });

  test('uses the reliability options of the call', async () => {
    const { webRtcTransport, dataProducerDirect } = objects;
    const dataConsumer = await webRtcTransport.consumeData({
      dataProducerId: dataProducerDirect.id,
      streamId: 9,
      maxRetransmits: 2,
    });
    expect(dataConsumer.sctpStreamParameters).toEqual({
      streamId: 9,
      ordered: false,
      maxRetransmits: 2,
    });
  });
});
