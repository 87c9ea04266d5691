import '../helpers/closeWorkers';
import type { types } from '../..';
import { LOOPBACK } from '../helpers/arrangement';
import { closes, ends, EventRecorder } from '../helpers/EventRecorder';
import { Inbox } from '../helpers/Inbox';
import { objects } from '../helpers/objects';
import { peers } from '../helpers/peers';
import { nextEvent, until, untilState } from '../helpers/wait';
import type { WebRtcPeer } from '../helpers/WebRtcPeers';

/** A WebRTC client (libdatachannel) or the server closes a channel, a transport or a connection. */

const CHANNELS = [{ id: 0 }, { id: 1 }];

let peer: WebRtcPeer;

beforeEach(async () => {
  peer = await peers.connect(objects.webRtcTransport, { channels: CHANNELS });
});

describe('the client closes a DataChannel', () => {
  test("of a DataConsumer: it emits 'streamclose' and observer 'close', and is closed", async () => {
    const { webRtcTransport, dataConsumerSctp, dataProducerDirect, worker } = objects;
    const recorder = new EventRecorder().watch({ ...objects });
    const streamclose = nextEvent(dataConsumerSctp, 'streamclose');
    await peer.closeChannel(0);
    await streamclose;
    await worker.dump();
    expect(recorder.take()).toEqual([
      'dataConsumerSctp streamclose',
      ...closes('dataConsumerSctp'),
    ]);
    expect(dataConsumerSctp.closed).toBe(true);
    expect(dataProducerDirect.closed).toBe(false);
    await expect(webRtcTransport.dump()).resolves.toMatchObject({ dataConsumerIds: [] });
    // The other channels keep working.
    const inbox = new Inbox(objects.dataConsumerDirect);
    await peer.send(1, 'still here');
    await inbox.count(1);
  });

  test("of a DataProducer: it emits 'streamclose' and stays open", async () => {
    const { dataProducerSctp, dataConsumerDirect, worker } = objects;
    const recorder = new EventRecorder().watch({ ...objects });
    const streamclose = nextEvent(dataProducerSctp, 'streamclose');
    await peer.closeChannel(1);
    await streamclose;
    await worker.dump();
    expect(recorder.take()).toEqual(['dataProducerSctp streamclose']);
    expect(dataProducerSctp.closed).toBe(false);
    expect(dataConsumerDirect.closed).toBe(false);
  });

  test('of a DataProducer and opens it again: messages arrive again', async () => {
    const { dataProducerSctp, dataConsumerDirect } = objects;
    const inbox = new Inbox(dataConsumerDirect);
    await peer.send(1, 'before');
    await inbox.count(1);
    const streamclose = nextEvent(dataProducerSctp, 'streamclose');
    await peer.closeChannel(1);
    await streamclose;
    await peer.untilClosed(1);
    await peer.openChannel({ id: 1 });
    await peer.untilOpen();
    await peer.send(1, 'after');
    await inbox.count(2);
    expect(inbox.texts).toEqual(['before', 'after']);
  });

  test('of a DataConsumer: consumeData() can use the stream again once its reset is complete', async () => {
    const { webRtcTransport, dataConsumerSctp, dataProducerDirect, dataConsumerDirect } = objects;
    const inbox = new Inbox(dataConsumerDirect);
    const streamclose = nextEvent(dataConsumerSctp, 'streamclose');
    await peer.closeChannel(0);
    await streamclose;
    await peer.untilClosed(0);
    const consume = (): Promise<types.DataConsumer | undefined> =>
      webRtcTransport
        .consumeData({ dataProducerId: dataProducerDirect.id, streamId: 0 })
        .catch(() => undefined);
    // No event says when the stream is free, because its reset must be complete and some time must have passed. So try
    // again until consumeData() succeeds.
    let again = await consume();
    for (let round = 1; !again; round++) {
      await peer.send(1, 'round');
      await inbox.count(round);
      again = await consume();
    }
    await peer.openChannel({ id: 0 });
    await peer.untilOpen();
    await again.send('again');
    expect(await peer.untilMessages(0, 1)).toEqual(['again']);
  });
});

describe('the server closes', () => {
  test('dataConsumer.close() closes only its channel at the client', async () => {
    const { dataConsumerSctp, dataConsumerDirect } = objects;
    dataConsumerSctp.close();
    await peer.untilClosed(0);
    expect(peer.closed).toEqual(new Set([0]));
    const inbox = new Inbox(dataConsumerDirect);
    await peer.send(1, 'still here');
    await inbox.count(1);
  });

  test('dataProducer.close() closes only its channel at the client', async () => {
    const { dataProducerSctp, dataProducerDirect } = objects;
    dataProducerSctp.close();
    await peer.untilClosed(1);
    expect(peer.closed).toEqual(new Set([1]));
    dataProducerDirect.send('still here');
    expect(await peer.untilMessages(0, 1)).toEqual(['still here']);
  });

  test('dataProducer.close() of a direct DataProducer closes the channel of its DataConsumer', async () => {
    const { dataProducerDirect, dataConsumerSctp } = objects;
    dataProducerDirect.close();
    await nextEvent(dataConsumerSctp, 'dataproducerclose');
    await peer.untilClosed(0);
    expect(peer.closed).toEqual(new Set([0]));
  });

  test('consumeData() after dataConsumer.close() uses the next stream, not the closed one', async () => {
    const { webRtcTransport, dataProducerDirect, dataConsumerSctp } = objects;
    const { id: dataProducerId } = dataProducerDirect;
    dataConsumerSctp.close();
    const next = await webRtcTransport.consumeData({ dataProducerId });
    // Stream 1 is that of the DataProducer.
    expect(next.sctpStreamParameters!.streamId).toBe(2);
    await peer.untilClosed(0);
  });

  test('transport.close() closes the channels and the connection of the client', async () => {
    const { webRtcTransport } = objects;
    webRtcTransport.close();
    await peer.untilClosed(0);
    await peer.untilClosed(1);
    await until(
      peer,
      'state',
      () => ['closed', 'disconnected', 'failed'].includes(peer.state),
      () => `the client disconnected, it is '${peer.state}'`,
    );
  });

  test.each(['router', 'worker'] as const)(
    '%s.close() closes the channels of the client',
    async (name) => {
      objects[name].close();
      await peer.untilClosed(0);
      await peer.untilClosed(1);
    },
  );

  test('dataProducer.close() does not deliver again a message that arrived before', async () => {
    const { dataProducerSctp, worker } = objects;
    const inbox = new Inbox(objects.dataConsumerDirect);
    await peer.send(1, 'before');
    await inbox.count(1);
    dataProducerSctp.close();
    await worker.dump();
    expect(inbox.texts).toEqual(['before']);
  });
});

describe('the client closes its PeerConnection', () => {
  test('sctpState becomes closed; the transport and its entities stay open, and messages are dropped', async () => {
    const { webRtcTransport, dataProducerSctp, dataConsumerSctp, dataProducerDirect } = objects;
    const recorder = new EventRecorder().watch({ ...objects });
    await peer.close();
    await untilState(webRtcTransport, 'sctpState', 'closed');
    await objects.worker.dump();
    // libdatachannel ends its association first, and sends close_notify only if its ICE agent still runs, which on an
    // idle machine is never the case.
    const { dtlsState, dtlsError, sctpError } = webRtcTransport;
    expect(sctpError?.code).toBe('peer-closed');
    expect(recorder.take()).toEqual([
      ...ends('webRtcTransport', 'sctpstatechange', 'closed', sctpError),
      ...(dtlsState === 'closed'
        ? ends('webRtcTransport', 'dtlsstatechange', 'closed', dtlsError)
        : []),
    ]);
    expect(webRtcTransport.closed).toBe(false);
    expect(dataProducerSctp.closed).toBe(false);
    expect(dataConsumerSctp.closed).toBe(false);
    await expect(dataConsumerSctp.send('x')).rejects.toThrow('message send failed');
    const [before] = await dataConsumerSctp.getStats();
    dataProducerDirect.send('12345');
    const [after] = await dataConsumerSctp.getStats();
    expect(after!.messagesDropped - before!.messagesDropped).toBe(1);
    expect(after!.bytesDropped - before!.bytesDropped).toBe(5);
    expect(after!.messagesSent).toBe(before!.messagesSent);
    webRtcTransport.close();
    expect(webRtcTransport.closed).toBe(true);
  });

  test('another client of the router stays connected and gets messages', async () => {
    const { router, webRtcTransport, dataProducerDirect } = objects;
    const other = await router.createWebRtcTransport({ listenInfos: LOOPBACK, enableSctp: true });
    await other.consumeData({ dataProducerId: dataProducerDirect.id });
    const second = await peers.connect(other, { channels: [{ id: 0 }] });
    await peer.close();
    await untilState(webRtcTransport, 'sctpState', 'closed');
    dataProducerDirect.send('still here');
    expect(await second.untilMessages(0, 1)).toEqual(['still here']);
    expect(other).toMatchObject({ dtlsState: 'connected', sctpState: 'connected' });
  });
});
