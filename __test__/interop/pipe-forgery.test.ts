import * as datasoup from '../..';
import type { types } from '../..';
import { arrange, type Arrangement } from '../helpers/arrangement';
import '../helpers/closeWorkers';
import { Inbox } from '../helpers/Inbox';
import { peers } from '../helpers/peers';
import type { WebRtcPeer } from '../helpers/WebRtcPeers';

/**
 * A pipe carries subchannels in a header in front of the payload. A client that sends such a header must not select
 * the DataConsumers beyond the pipe: its header is payload, which all DataConsumers get unchanged.
 */

/** The start of the header: a token whose last two bits are flags. */
const TOKEN = [0xa5, 0xf0, 0x9c, 0xb3, 0xd6, 0xe1, 0xf2, 0x8c];
const REQUIRED = 0b10;
const IGNORED = 0b01;

/** A message with the header that a pipe writes for subchannel 7. */
function forged(flags: number, ...more: number[]): Buffer {
  const token = [...TOKEN.slice(0, 7), TOKEN[7]! | flags];
  return Buffer.from([...token, 0, 1, 0, 7, ...more, ...Buffer.from('payload')]);
}

const PAYLOADS = [forged(0), forged(REQUIRED, 0, 7), forged(IGNORED, 0, 1), Buffer.from(TOKEN)];

let near: Arrangement;
let far: types.Router;
let peer: WebRtcPeer;

beforeEach(async () => {
  near = await arrange();
  far = await (await datasoup.createWorker()).createRouter();
  peer = await peers.connect(near.webRtcTransport, { channels: [{ id: 1 }] });
});

/** Pipes with two PipeTransports, as between two hosts. */
async function pipeByHand(): Promise<types.DataProducer> {
  const options = { listenInfo: { protocol: 'udp', ip: '127.0.0.1' }, enableSctp: true } as const;
  const here = await near.router.createPipeTransport(options);
  const there = await far.createPipeTransport(options);
  await here.connect({ ip: '127.0.0.1', port: there.tuple.localPort });
  await there.connect({ ip: '127.0.0.1', port: here.tuple.localPort });
  const { sctpStreamParameters } = await here.consumeData({
    dataProducerId: near.dataProducerSctp.id,
  });
  return there.produceData({ sctpStreamParameters });
}

async function pipeToRouter(): Promise<types.DataProducer> {
  const piped = await near.router.pipeToRouter({
    dataProducerId: near.dataProducerSctp.id,
    router: far,
  });
  return piped.pipeDataProducer!;
}

test.each([
  ['two PipeTransports', pipeByHand],
  ['pipeToRouter()', pipeToRouter],
])(
  'through %s, every DataConsumer gets the forged header of a client as payload',
  async (_title, pipe) => {
    const { id } = await pipe();
    const direct = await far.createDirectTransport();
    const inboxes = await Promise.all(
      [[], [1], [7]].map(async (subchannels) => {
        return new Inbox(await direct.consumeData({ dataProducerId: id, subchannels }));
      }),
    );
    for (const payload of PAYLOADS) {
      await peer.send(1, payload);
    }
    for (const inbox of inboxes) {
      await inbox.count(PAYLOADS.length);
      expect(inbox.buffers.map((buffer) => buffer.toString('hex'))).toEqual(
        PAYLOADS.map((payload) => payload.toString('hex')),
      );
    }
  },
);
