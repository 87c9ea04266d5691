import type { types } from '../..';
import { arrange, type Arrangement } from '../helpers/arrangement';
import '../helpers/closeWorkers';
import { Inbox } from '../helpers/Inbox';
import { untilState } from '../helpers/wait';
import { WebRtcPeers, type WebRtcPeer } from '../helpers/WebRtcPeers';

/** A plain client (libdatachannel) that opens its channels in band (RFC 8832), as browsers do by themselves. */

const IN_BAND = { id: 4, negotiated: false, label: 'chat', protocol: 'json' };

let peers: WebRtcPeers;
let objects: Arrangement;
let peer: WebRtcPeer;
/** Everything that comes on stream 4. */
let inbox: Inbox;

beforeAll(() => {
  peers = new WebRtcPeers();
});

beforeEach(async () => {
  objects = await arrange();
  const dataProducer = await objects.webRtcTransport.produceData({
    sctpStreamParameters: { streamId: 4 },
  });
  inbox = new Inbox(await objects.directTransport.consumeData({ dataProducerId: dataProducer.id }));
  peer = await peers.connect(objects.webRtcTransport, { channels: [IN_BAND] });
});

afterEach(() => objects.worker.close());

afterAll(() => peers.close());

test('the channel opens: DATA_CHANNEL_OPEN is acknowledged, and delivered to nobody', async () => {
  await peer.send(4, 'first');
  expect(await inbox.count(1)).toEqual([{ text: 'first', ppid: 51 }]);
});

test('consumeData({ streamId }) answers on the same channel', async () => {
  const dataConsumer = await objects.webRtcTransport.consumeData({
    dataProducerId: objects.dataProducerDirect.id,
    streamId: 4,
  });
  expect(dataConsumer.sctpStreamParameters!.streamId).toBe(4);
  await dataConsumer.send('answer');
  objects.dataProducerDirect.send('routed');
  expect(await peer.untilMessages(4, 2)).toEqual(['answer', 'routed']);
  await peer.send(4, 'question');
  expect(await inbox.count(1)).toEqual([{ text: 'question', ppid: 51 }]);
});

test('a channel that nobody produces or consumes opens, and what comes on it goes nowhere', async () => {
  await peer.openChannel({ ...IN_BAND, id: 6 });
  await peer.untilOpen();
  await peer.send(6, 'nobody');
  await peer.send(4, 'somebody');
  expect(await inbox.count(1)).toEqual([{ text: 'somebody', ppid: 51 }]);
});

test('a DataConsumer without streamId is not given the stream of an open channel', async () => {
  const streamIds: number[] = [];
  for (let count = 0; count < 6; count++) {
    const dataConsumer: types.DataConsumer = await objects.webRtcTransport.consumeData({
      dataProducerId: objects.dataProducerDirect.id,
    });
    streamIds.push(dataConsumer.sctpStreamParameters!.streamId);
  }
  expect(streamIds).not.toContain(4);
});

test('messages that begin like DATA_CHANNEL_OPEN are messages', async () => {
  const open = Buffer.from('0300000000000000000000006368', 'hex');
  await peer.send(4, open);
  await inbox.count(1);
  expect(inbox.buffers).toEqual([open]);
  await untilState(objects.webRtcTransport, 'sctpState', 'connected');
});
