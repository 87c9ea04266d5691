import type { types } from '..';
import './helpers/closeWorkers';
import { titled } from './helpers/arguments';
import { arrange, LOOPBACK } from './helpers/arrangement';
import { BadNetwork } from './helpers/BadNetwork';
import { Inbox } from './helpers/Inbox';
import { allOf, numbered } from './helpers/numbered';
import { objects } from './helpers/objects';
import { peers } from './helpers/peers';
import { router, router2 } from './helpers/twoRouters';
import { untilState } from './helpers/wait';

/** Sending by SCTP: the option sctpCongestionControl, and the members of getStats(). */

const LISTEN_INFO = LOOPBACK[0]!;
const CAUSES = ['Rack', 'Probe', 'Timeout', 'Bundled'] as const;
/** The members of getStats() about sending that exist from 'connected' on. */
const MEMBERS = [
  'sctpRetransmissionTimeout',
  'sctpCongestionWindow',
  'sctpBytesInFlight',
  ...['', ...CAUSES].flatMap((cause) => [
    `sctpChunksRetransmitted${cause}`,
    `sctpBytesRetransmitted${cause}`,
  ]),
  'sctpSpuriousRetransmissions',
].sort();

type UdpTransport = types.PlainTransport | types.PipeTransport;
type Create<T> = (options?: object, on?: types.Router) => Promise<T>;

/** A DataProducer on `router`. */
let source: types.DataProducer;

beforeEach(async () => {
  source = await (await router.createDirectTransport()).produceData();
});

const webRtc: Create<types.WebRtcTransport> = (options, on = router) =>
  on.createWebRtcTransport({ listenInfos: LOOPBACK, enableSctp: true, ...options });

const plain: Create<UdpTransport> = (options, on = router) =>
  on.createPlainTransport({ listenInfo: LISTEN_INFO, enableSctp: true, ...options });

const pipe: Create<UdpTransport> = (options, on = router) =>
  on.createPipeTransport({ listenInfo: LISTEN_INFO, enableSctp: true, ...options });

/** The PipeTransport that `pipeToRouter()` makes on `router`. */
const piped: Create<types.Transport> = async (options) => {
  const transports: types.Transport[] = [];
  router.observer.on('newtransport', (transport) => transports.push(transport));
  await router.pipeToRouter({ dataProducerId: source.id, router: router2, ...options });
  return transports[0]!;
};

/** The members of getStats() about sending that the transport has. */
async function transmission(transport: types.Transport): Promise<Record<string, number>> {
  const [stats] = await transport.getStats();
  const members = Object.entries(stats!).filter(([name]) => MEMBERS.includes(name));
  return Object.fromEntries(members) as Record<string, number>;
}

/** Connects two transports, on `router` and `router2`, and sends 100 messages of `source` from `near` to `far`. */
async function sendFrom(near: UdpTransport, far: UdpTransport): Promise<void> {
  await near.connect({ ip: far.tuple.localIp, port: far.tuple.localPort });
  await far.connect({ ip: near.tuple.localIp, port: near.tuple.localPort });
  const { sctpStreamParameters } = await near.consumeData({ dataProducerId: source.id });
  const { id } = await far.produceData({ sctpStreamParameters: sctpStreamParameters! });
  const sink = await (await router2.createDirectTransport()).consumeData({ dataProducerId: id });
  const inbox = new Inbox(sink);
  await untilState(near, 'sctpState', 'connected');
  for (let number = 0; number < 100; number++) {
    source.send(Buffer.alloc(5000, 1));
  }
  await inbox.count(100);
}

describe.each([
  ['createWebRtcTransport()', webRtc],
  ['createPlainTransport()', plain],
  ['createPipeTransport()', pipe],
  ['pipeToRouter()', piped],
] as [string, Create<types.Transport>][])('sctpCongestionControl of %s', (_method, create) => {
  test.each(['cubic', 'newreno', 'bbr', undefined, null])('may be %s', async (value) => {
    const transport = await create({ sctpCongestionControl: value });
    expect(transport.closed).toBe(false);
  });

  test.each(titled<unknown>(['reno', 'CUBIC', '', 0, true, {}, ['cubic']]))(
    '%s rejects with a TypeError that names the choices',
    async (_title, value) => {
      const before = [await router.dump(), await router2.dump()];
      for (const enableSctp of [true, false]) {
        const rejected = create({ sctpCongestionControl: value, enableSctp });
        await expect(rejected).rejects.toThrow(TypeError);
        await expect(rejected).rejects.toThrow(
          "sctpCongestionControl must be one of 'cubic', 'newreno', 'bbr' (got ",
        );
      }
      expect([await router.dump(), await router2.dump()]).toEqual(before);
    },
  );
});

describe('getStats() about sending', () => {
  test.each([
    ['PlainTransport', plain],
    ['PipeTransport', pipe],
  ])('of a %s: nothing before the association, everything from then on', async (_kind, create) => {
    const [near, far] = [await create({}, router), await create({}, router2)];
    expect(await transmission(near)).toEqual({});
    await sendFrom(near, far);
    expect(Object.keys(await transmission(near)).sort()).toEqual(MEMBERS);
    expect(Object.keys(await transmission(far)).sort()).toEqual(MEMBERS);
    const stats = (await near.getStats())[0]!;
    expect(stats.sctpRoundTripTime).toBeGreaterThan(0);
    expect(stats.sctpRoundTripTime).toBeLessThan(1000);
    expect(stats.sctpRetransmissionTimeout).toBeGreaterThan(stats.sctpRoundTripTime!);
    expect(stats.sctpCongestionWindow).toBeGreaterThan(1000);
  });

  test('of a WebRtcTransport: nothing before the association, everything from then on', async () => {
    const { webRtcTransport, dataProducerDirect } = objects;
    expect(await transmission(webRtcTransport)).toEqual({});
    const peer = await peers.connect(webRtcTransport, { channels: [{ id: 0 }] });
    dataProducerDirect.send('a message');
    await peer.untilMessages(0, 1);
    expect(Object.keys(await transmission(webRtcTransport)).sort()).toEqual(MEMBERS);
  });

  test.each(['cubic', 'newreno', 'bbr'] as const)(
    'with %s, to a client behind a bad network: values of a path of 50 ms with loss',
    async (sctpCongestionControl) => {
      const { worker, webRtcTransport, dataProducerDirect } = await arrange({
        sctpCongestionControl,
      });
      const network = await BadNetwork.to(webRtcTransport);
      const peer = await peers.connect(webRtcTransport, {
        channels: [{ id: 0, tally: true }],
        alter: network.alter,
      });
      for (let number = 0; number < 300; number++) {
        dataProducerDirect.send(numbered(number, 2500));
      }
      expect(await peer.tally(0, 300)).toEqual(allOf(300, 2500));
      const stats = (await webRtcTransport.getStats())[0]!;
      const { sctpRoundTripTime, sctpRetransmissionTimeout, sctpCongestionWindow } = stats;
      expect(sctpRoundTripTime).toBeGreaterThan(45);
      expect(sctpRoundTripTime).toBeLessThan(1000);
      expect(sctpRetransmissionTimeout).toBeGreaterThan(sctpRoundTripTime!);
      expect(sctpRetransmissionTimeout).toBeLessThan(60_000);
      expect(sctpCongestionWindow).toBeGreaterThan(1000);
      expect(stats.sctpBytesInFlight).toBeLessThanOrEqual(750_000);
      expect(stats.sctpChunksRetransmitted).toBeGreaterThan(0);
      expect(stats.sctpBytesRetransmitted).toBeGreaterThan(stats.sctpChunksRetransmitted!);
      expect(stats.sctpSpuriousRetransmissions).toBeLessThanOrEqual(stats.sctpChunksRetransmitted!);
      for (const total of ['sctpChunksRetransmitted', 'sctpBytesRetransmitted'] as const) {
        const causes = CAUSES.map((cause) => stats[`${total}${cause}`]!);
        expect(causes.reduce((sum, each) => sum + each)).toBe(stats[total]);
      }
      network.close();
      worker.close();
    },
  );

  test('without SCTP, of a DirectTransport and of pipeToRouter(): nothing', async () => {
    const bare = await plain({ enableSctp: false });
    const through = await piped();
    for (const transport of [bare, await router.createDirectTransport(), through]) {
      expect(await transmission(transport)).toEqual({});
    }
  });
});
