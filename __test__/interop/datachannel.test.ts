import type { types } from '../..';
import { EventRecorder } from '../helpers/EventRecorder';
import { Inbox } from '../helpers/Inbox';
import { objects } from '../helpers/objects';
import { peers } from '../helpers/peers';
import { nextEvent, until } from '../helpers/wait';
import type { ChannelOptions, WebRtcPeer } from '../helpers/WebRtcPeers';

/**
 * Channels that a client opens in band and that the server did not expect: 'datachannel' and adoption. And channels
 * that the server opens.
 */

const ID = 4;

function connect(options: Partial<ChannelOptions> = {}): Promise<WebRtcPeer> {
  return peers.connect(objects.webRtcTransport, {
    channels: [{ id: ID, negotiated: false, ...options }],
  });
}

/** Adopts the channel, and routes its kept messages once there is a DataConsumer. */
async function adopt(
  streamId = ID,
): Promise<{ dataProducer: types.DataProducer; dataConsumer: types.DataConsumer; inbox: Inbox }> {
  const dataProducer = await objects.webRtcTransport.produceData({
    sctpStreamParameters: { streamId },
    paused: true,
    whilePaused: 'hold',
  });
  const dataProducerId = dataProducer.id;
  const dataConsumer = await objects.directTransport.consumeData({ dataProducerId });
  const inbox = new Inbox(dataConsumer);
  await dataProducer.resume();
  return { dataProducer, dataConsumer, inbox };
}

async function unrouted(): Promise<number> {
  const [stat] = await objects.webRtcTransport.getStats();
  return stat!.messagesUnrouted;
}

describe("'datachannel'", () => {
  test('is emitted on the transport, then on its observer, with copies of what the client opened', async () => {
    const recorder = new EventRecorder().watch({ transport: objects.webRtcTransport });
    const announced = nextEvent(objects.webRtcTransport.observer, 'datachannel');
    objects.webRtcTransport.on('datachannel', (dataChannel) => {
      dataChannel.label = 'changed by a listener';
    });
    await connect({ label: 'Sûppe', protocol: 'x-bouillon', unordered: true, maxRetransmits: 3 });
    // In alphabetical order, as the output shows them.
    const expected = {
      label: 'Sûppe',
      maxRetransmits: 3,
      ordered: false,
      protocol: 'x-bouillon',
      streamId: ID,
    };
    expect(await announced).toEqual([expected]);
    expect(recorder.lines.filter((line) => line.includes('datachannel'))).toEqual([
      `transport datachannel(${JSON.stringify(expected)})`,
      `transport.observer datachannel(${JSON.stringify(expected)})`,
    ]);
  });

  test('is not emitted for a channel that a DataProducer waits for', async () => {
    const { webRtcTransport, worker } = objects;
    const announced = jest.fn();
    webRtcTransport.on('datachannel', announced);
    await webRtcTransport.produceData({ sctpStreamParameters: { streamId: ID } });
    await connect();
    await worker.dump();
    expect(announced).not.toHaveBeenCalled();
  });
});

describe('produceData() with the stream of a channel', () => {
  test('100 messages that are sent at once all reach the DataConsumer, with label and protocol', async () => {
    const announced = nextEvent(objects.webRtcTransport, 'datachannel');
    const peer = await connect({ label: 'chat', protocol: 'json' });
    await peer.sendNumbered(ID, 100, 1000);
    const [{ streamId }] = await announced;
    const { dataProducer, dataConsumer, inbox } = await adopt(streamId);
    expect(dataProducer).toMatchObject({ label: 'chat', protocol: 'json' });
    expect(dataConsumer).toMatchObject({ label: 'chat', protocol: 'json' });
    await inbox.count(100);
    await peer.send(ID, 'later');
    await inbox.count(101);
    const numbers = inbox.buffers.slice(0, 100).map((message) => message.readUInt32BE(0));
    expect(numbers).toEqual([...numbers.keys()]);
    expect(inbox.texts[100]).toBe('later');
    expect(await unrouted()).toBe(0);
  });

  test('each option that is given takes precedence over the channel', async () => {
    const { webRtcTransport } = objects;
    const announced = nextEvent(webRtcTransport, 'datachannel');
    await connect({ label: 'theirs', protocol: 'theirs', maxPacketLifeTime: 500, unordered: true });
    await announced;
    const dataProducer = await webRtcTransport.produceData({
      sctpStreamParameters: { streamId: ID, maxRetransmits: 1 },
      label: '',
    });
    expect(dataProducer).toMatchObject({ label: '', protocol: 'theirs' });
    expect(dataProducer.sctpStreamParameters).toEqual({
      streamId: ID,
      ordered: false,
      maxRetransmits: 1,
    });
  });

  test('the reliability is that of the channel if none of its options is given', async () => {
    const { webRtcTransport } = objects;
    const announced = nextEvent(webRtcTransport, 'datachannel');
    await connect({ maxPacketLifeTime: 500, unordered: true });
    await announced;
    const { dataProducer } = await adopt();
    const expected = { streamId: ID, ordered: false, maxPacketLifeTime: 500 };
    expect(dataProducer.sctpStreamParameters).toEqual(expected);
    await expect(dataProducer.dump()).resolves.toMatchObject({ sctpStreamParameters: expected });
  });

  test("a channel that the client has closed since brings its messages, then 'streamclose'", async () => {
    const { webRtcTransport } = objects;
    const announced = nextEvent(webRtcTransport, 'datachannel');
    const peer = await connect({ label: 'short' });
    await announced;
    await peer.send(ID, 'the last words');
    await peer.closeChannel(ID);
    // The reset of the first channel precedes this.
    const another = nextEvent(webRtcTransport, 'datachannel');
    await peer.openChannel({ id: 6, negotiated: false });
    await another;
    const recorder = new EventRecorder();
    webRtcTransport.observer.once('newdataproducer', (dataProducer) =>
      recorder.watch({ dataProducer }),
    );
    const { dataProducer, inbox } = await adopt();
    await inbox.count(1);
    expect(inbox.texts).toEqual(['the last words']);
    await until(dataProducer, 'streamclose', () =>
      recorder.lines.includes('dataProducer streamclose'),
    );
    expect(dataProducer).toMatchObject({ label: 'short', closed: false });
  });

  test('rejects once the transport is closed, and kept messages are counted', async () => {
    const { webRtcTransport, worker } = objects;
    const announced = nextEvent(webRtcTransport, 'datachannel');
    const peer = await connect();
    await announced;
    await peer.send(ID, 'kept');
    await peer.send(ID, 'kept');
    let held = 0;
    while (held < 2 * (64 + 4)) {
      ({ bytesHeld: held } = await worker.dump());
    }
    webRtcTransport.close();
    await expect(
      webRtcTransport.produceData({ sctpStreamParameters: { streamId: ID } }),
    ).rejects.toThrow(/closed/);
    expect(await worker.dump()).toMatchObject({ messagesDroppedAtClose: 2 });
  });
});

describe('consumeData({ negotiated: false })', () => {
  async function source(): Promise<types.DataProducer> {
    return objects.directTransport.produceData({ label: 'Sûppe', protocol: 'x-bouillon' });
  }

  test.each([
    ['client', 1],
    ['server', 2],
  ] as const)(
    "a client that is DTLS %s gets 'datachannel' with label and protocol, on stream %i",
    async (role, stream) => {
      const { webRtcTransport } = objects;
      const peer = await peers.connect(webRtcTransport, {
        role,
        channels: [{ id: 100, negotiated: true }],
      });
      // Stream 1 has a DataProducer, and stream 0 a DataConsumer.
      objects.dataProducerSctp.close();
      const opened = nextEvent(peer, 'datachannel');
      const dataProducer = await source();
      const dataConsumer = await webRtcTransport.consumeData({
        dataProducerId: dataProducer.id,
        negotiated: false,
        maxRetransmits: 5,
      });
      const { streamId } = dataConsumer.sctpStreamParameters!;
      expect(streamId % 2).toBe(stream % 2);
      for (let n = 0; n < 100; n++) {
        dataProducer.send(String(n));
      }
      expect(await opened).toEqual([streamId, 'Sûppe', 'x-bouillon']);
      const messages = await peer.untilMessages(streamId, 100);
      expect([...messages].sort()).toEqual(Array.from({ length: 100 }, (_, n) => String(n)).sort());

      // The client answers on the same channel.
      const answer = await webRtcTransport.produceData({ sctpStreamParameters: { streamId } });
      const dataProducerId = answer.id;
      const inbox = new Inbox(await objects.directTransport.consumeData({ dataProducerId }));
      await peer.send(streamId, 'answer');
      expect((await inbox.count(1)).map(({ text }) => text)).toEqual(['answer']);
    },
  );

  test('close() closes the channel of the client', async () => {
    const { webRtcTransport } = objects;
    const peer = await peers.connect(webRtcTransport, { channels: [{ id: 100 }] });
    const opened = nextEvent(peer, 'datachannel');
    const dataConsumer = await webRtcTransport.consumeData({
      dataProducerId: (await source()).id,
      negotiated: false,
    });
    const [streamId] = await opened;
    dataConsumer.close();
    await peer.untilClosed(streamId);
  });

  test('rejects with a TypeError before connect(), with a streamId, and on other transports', async () => {
    const { router, directTransport, webRtcTransport, dataProducerDirect } = objects;
    const options = { dataProducerId: dataProducerDirect.id, negotiated: false };
    const rejected = async (made: Promise<unknown>, text: RegExp): Promise<void> => {
      await expect(made).rejects.toThrow(TypeError);
      await expect(made).rejects.toThrow(text);
    };
    await rejected(webRtcTransport.consumeData(options), /connect\(\) first/);
    await rejected(
      webRtcTransport.consumeData({ ...options, streamId: 5 }),
      /streamId.*negotiated/,
    );
    await rejected(webRtcTransport.consumeData({ ...options, negotiated: 0 as any }), /negotiated/);
    await rejected(directTransport.consumeData(options), /needs a WebRtcTransport.*'direct'/);
    const listenInfo = { protocol: 'udp', ip: '127.0.0.1' } as const;
    for (const transport of [
      await router.createPlainTransport({ listenInfo, enableSctp: true }),
      await router.createPipeTransport({ listenInfo, enableSctp: true }),
    ]) {
      await rejected(transport.consumeData(options), /needs a WebRtcTransport/);
    }
    // Nothing has changed: the next stream is still the same.
    const dataConsumer = await webRtcTransport.consumeData({ ...options, negotiated: true });
    expect(dataConsumer.sctpStreamParameters!.streamId).toBe(2);
  });
});
