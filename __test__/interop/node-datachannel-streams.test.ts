import '../helpers/closeWorkers';
import type { types } from '../..';
import { arrange } from '../helpers/arrangement';
import { closes, EventRecorder } from '../helpers/EventRecorder';
import { Inbox } from '../helpers/Inbox';
import { objects } from '../helpers/objects';
import { peers } from '../helpers/peers';
import { nextEvent } from '../helpers/wait';

/** The streams of a WebRTC client (libdatachannel), which takes 1,024, and its largest messages. */

const CHANNELS = [{ id: 0 }, { id: 1 }];

async function statsOf(transport: types.Transport): Promise<types.BaseTransportStats> {
  const [stats] = await transport.getStats();
  return stats!;
}

describe('streams beyond those that the client takes', () => {
  test("a DataConsumer that was made before emits 'streamclose', and its messages count as messagesDroppedUnsendable", async () => {
    const { webRtcTransport, dataProducerDirect, worker } = objects;
    const consume = (streamId: number, paused = false): Promise<types.DataConsumer> =>
      webRtcTransport.consumeData({ dataProducerId: dataProducerDirect.id, streamId, paused });
    // Paused, because the client resets a stream when a message comes that is for no channel.
    const last = await consume(1023, true);
    const beyond = await consume(1024);
    const recorder = new EventRecorder().watch({ last, beyond });
    const streamclose = nextEvent(beyond, 'streamclose');
    dataProducerDirect.send('1');
    dataProducerDirect.send('2');
    const peer = await peers.connect(webRtcTransport, { channels: CHANNELS });
    await streamclose;
    await worker.dump();
    expect(recorder.take()).toEqual(['beyond streamclose', ...closes('beyond')]);
    expect(last.closed).toBe(false);
    expect(await statsOf(webRtcTransport)).toMatchObject({
      messagesDroppedUnsendable: 2,
      messagesDiscarded: 0,
    });
    expect(await peer.untilMessages(0, 2)).toEqual(['1', '2']);
    await expect(consume(1024)).rejects.toThrow('the peer takes only 1024 streams');
    await expect(consume(1023)).rejects.toThrow('already in use');
  });
});

describe('the streams of DataProducers', () => {
  test('consumeData() chooses none of them', async () => {
    const { webRtcTransport, dataProducerDirect } = objects;
    const { sctpStreamParameters } = await webRtcTransport.consumeData({
      dataProducerId: dataProducerDirect.id,
    });
    expect(sctpStreamParameters).toMatchObject({ streamId: 2 });
  });

  test('close() of a DataConsumer whose stream a DataProducer uses since leaves the channel of the client open', async () => {
    const { directTransport, webRtcTransport, dataConsumerSctp, dataProducerDirect } = objects;
    const peer = await peers.connect(webRtcTransport, { channels: CHANNELS });
    dataProducerDirect.send('down');
    await peer.untilMessages(0, 1);
    const up = await webRtcTransport.produceData({ sctpStreamParameters: { streamId: 0 } });
    const inbox = new Inbox(await directTransport.consumeData({ dataProducerId: up.id }));
    const recorder = new EventRecorder().watch({ up });
    dataConsumerSctp.close();
    for (const [index, text] of ['1', '2'].entries()) {
      await peer.send(0, text);
      await inbox.count(index + 1);
    }
    expect(recorder.take()).toEqual([]);
    up.close();
    await peer.untilClosed(0);
    expect(peer.closed.has(1)).toBe(false);
  });
});

test('sctpMaxReceiverWindowBufferSize below maxReceiveMessageSize: the largest message arrives, and sctpParameters shows the window', async () => {
  const arrangement = await arrange({ sctpMaxReceiverWindowBufferSize: 1500 });
  const { webRtcTransport, dataConsumerDirect, worker } = arrangement;
  expect(webRtcTransport.sctpParameters!.maxReceiverWindowBufferSize).toBe(262_144 + 65_536);
  const inbox = new Inbox(dataConsumerDirect);
  const peer = await peers.connect(webRtcTransport, { channels: CHANNELS });
  for (const fill of [1, 2]) {
    await peer.send(1, Buffer.alloc(262_144, fill));
  }
  await inbox.count(2);
  expect(inbox.buffers.map(({ length }) => length)).toEqual([262_144, 262_144]);
  expect(webRtcTransport.sctpState).toBe('connected');
  worker.close();
});
