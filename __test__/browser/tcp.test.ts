import type { types } from '../..';
import { Inbox } from '../helpers/Inbox';
import { router, worker } from '../helpers/router';
import { nextEvent, untilState } from '../helpers/wait';
import { BrowserClient } from './client';
import { openPage } from './emptyPage';

/** ICE over TCP (RFC 6544), with Chromium as the client. */

const UDP: types.TransportListenInfo = { protocol: 'udp', ip: '127.0.0.1' };
const TCP: types.TransportListenInfo = { protocol: 'tcp', ip: '127.0.0.1' };
/** An address of TEST-NET-1 (RFC 5737), which has no hosts. */
const NOWHERE = '192.0.2.1';

/** A browser on a transport: stream 0 carries messages to the browser, stream 1 messages from the browser. */
interface Session {
  transport: types.WebRtcTransport;
  client: BrowserClient;
  source: types.DataProducer;
  inbox: Inbox;
}

async function connect(options: Partial<types.WebRtcTransportOptions>): Promise<Session> {
  const transport = await router.createWebRtcTransport({
    enableSctp: true,
    ...options,
  } as types.WebRtcTransportOptions);
  const direct = await router.createDirectTransport();
  const source = await direct.produceData();
  await transport.consumeData({ dataProducerId: source.id });
  const dataProducer = await transport.produceData({ sctpStreamParameters: { streamId: 1 } });
  const inbox = new Inbox(await direct.consumeData({ dataProducerId: dataProducer.id }));
  const client = await BrowserClient.connect(await openPage(), transport, [0, 1]);
  return { transport, client, source, inbox };
}

async function expectMessages({ client, source, inbox }: Session): Promise<void> {
  const [before, sent] = [inbox.messages.length, `down ${inbox.messages.length}`];
  await client.send(1, 'up');
  expect((await inbox.count(before + 1)).at(-1)).toEqual({ text: 'up', ppid: 51 });
  source.send(sent);
  expect((await client.received(0, before + 1)).at(-1)).toBe(sent);
}

describe('a transport with TCP sockets of its own', () => {
  let session: Session;

  beforeEach(async () => {
    session = await connect({ listenInfos: [TCP] });
  });

  test('connects with a TCP candidate, and iceSelectedTuple shows it', async () => {
    const { transport, client } = session;
    await untilState(transport, 'iceState', 'completed');
    expect(transport).toMatchObject({ dtlsState: 'connected', sctpState: 'connected' });
    expect(transport.iceCandidates).toEqual([
      expect.objectContaining({
        protocol: 'tcp',
        tcpType: 'passive',
        type: 'host',
        address: '127.0.0.1',
      }),
    ]);
    expect(transport.iceSelectedTuple).toEqual({
      localIp: '127.0.0.1',
      localAddress: '127.0.0.1',
      localPort: transport.iceCandidates[0]!.port,
      remoteIp: '127.0.0.1',
      remotePort: expect.any(Number),
      protocol: 'tcp',
    });
    expect(await client.protocol()).toBe('tcp');
    const [stats] = await transport.getStats();
    expect(stats!.iceSelectedTuple).toEqual(transport.iceSelectedTuple);
  });

  test('carries messages both ways', () => expectMessages(session));

  test('carries 1,000 messages of 1 KB both ways in order', async () => {
    const { client, source, inbox } = session;
    await client.sendNumbered(1, 1000, 1000);
    for (let number = 0; number < 1000; number += 1) {
      source.send(`${number}`.padStart(1000, '.'));
    }
    await inbox.count(1000);
    expect(inbox.buffers.map((buffer) => buffer.readUInt32BE(0))).toEqual([...Array(1000).keys()]);
    const down = await client.received(0, 1000);
    expect(down.map((text) => Number(String(text).replace(/^\.+/, '')))).toEqual([
      ...Array(1000).keys(),
    ]);
  });

  test('carries messages of 262,144 bytes both ways', async () => {
    const { client, source, inbox } = session;
    await client.sendNumbered(1, 4, 262_144);
    await inbox.count(4);
    expect(inbox.buffers.map((buffer) => buffer.length)).toEqual(Array(4).fill(262_144));
    for (let number = 0; number < 4; number += 1) {
      source.send(Buffer.alloc(262_144, number));
    }
    expect(await client.received(0, 4)).toEqual(Array(4).fill(262_144));
  });

  test('restartIce() moves the session to a connection with the new credentials', async () => {
    const { transport, client } = session;
    const before = transport.iceSelectedTuple;
    await transport.restartIce();
    await client.restartIce();
    const selected = nextEvent(transport, 'iceselectedtuplechange');
    await client.answer(transport);
    await selected;
    expect(transport.iceSelectedTuple).toMatchObject({ protocol: 'tcp' });
    expect(transport.iceSelectedTuple).not.toEqual(before);
    await untilState(transport, 'iceState', 'completed');
    await expectMessages(session);
  });

  test('dtlsState becomes closed when the client closes its RTCPeerConnection', async () => {
    const { transport, client } = session;
    await client.close();
    await untilState(transport, 'dtlsState', 'closed');
  });

  test('iceState becomes disconnected when the client’s page closes', async () => {
    const { transport, client } = session;
    await client.page.close();
    await untilState(transport, 'iceState', 'disconnected');
    expect(transport.iceError?.code).toBe('connection-closed');
  });

  test('transport.close() closes the client’s channels', async () => {
    const { transport, client } = session;
    transport.close();
    await client.untilClosed(0);
    await client.untilClosed(1);
  });
});

describe('a WebRtcServer with UDP and TCP side by side', () => {
  let webRtcServer: types.WebRtcServer;

  beforeEach(async () => {
    webRtcServer = await worker.createWebRtcServer({ listenInfos: [UDP, TCP] });
  });

  test.each([
    ['{ enableUdp: false }', { enableUdp: false }, ['tcp'], 'tcp'],
    ['{ enableTcp: false }', { enableTcp: false }, ['udp'], 'udp'],
  ])(
    'with %s, the client connects over the other protocol',
    async (_title, options, candidates, protocol) => {
      const session = await connect({ webRtcServer, ...options });
      expect(session.transport.iceCandidates.map((candidate) => candidate.protocol)).toEqual(
        candidates,
      );
      await untilState(session.transport, 'iceState', 'completed');
      expect(session.transport.iceSelectedTuple?.protocol).toBe(protocol);
      expect(await session.client.protocol()).toBe(protocol);
      await expectMessages(session);
    },
  );

  test('with both protocols, transport and client agree on the one that the client chose', async () => {
    const session = await connect({ webRtcServer, preferUdp: true });
    expect(session.transport.iceCandidates.map((candidate) => candidate.protocol)).toEqual([
      'udp',
      'tcp',
    ]);
    await untilState(session.transport, 'iceState', 'completed');
    expect(await session.client.protocol()).toBe(session.transport.iceSelectedTuple?.protocol);
    await expectMessages(session);
  });

  test('the client connects over TCP if its UDP datagrams do not arrive', async () => {
    const blocked = await worker.createWebRtcServer({
      listenInfos: [{ ...UDP, announcedAddress: NOWHERE }, TCP],
    });
    const session = await connect({ webRtcServer: blocked, preferUdp: true });
    await untilState(session.transport, 'iceState', 'completed');
    expect(session.transport.iceSelectedTuple?.protocol).toBe('tcp');
    await expectMessages(session);
  });

  test('4 clients on one TCP port get their own messages', async () => {
    const sessions: Session[] = [];
    for (let count = 0; count < 4; count += 1) {
      sessions.push(await connect({ webRtcServer, enableUdp: false }));
    }
    const ports = sessions.map(({ transport }) => transport.iceSelectedTuple?.localPort);
    expect(new Set(ports).size).toBe(1);
    await Promise.all(sessions.map(({ client }, index) => client.send(1, `from ${index}`)));
    await Promise.all(sessions.map(({ inbox }) => inbox.count(1)));
    expect(sessions.map(({ inbox }) => inbox.texts)).toEqual(
      sessions.map((_session, index) => [`from ${index}`]),
    );
    sessions.forEach(({ source }, index) => source.send(`to ${index}`));
    for (const [index, { client }] of sessions.entries()) {
      expect(await client.received(0, 1)).toEqual([`to ${index}`]);
    }
  });

  test('webRtcServer.close() closes the channels of a client on TCP', async () => {
    const { client, transport } = await connect({ webRtcServer, enableUdp: false });
    webRtcServer.close();
    expect(transport.closed).toBe(true);
    await client.untilClosed(0);
  });
});
