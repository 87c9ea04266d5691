import { EventEmitter } from 'node:events';
import * as datasoup from '..';
import type { types } from '..';
import { LOOPBACK, SOME_FINGERPRINTS } from './helpers/arrangement';
import { Inbox } from './helpers/Inbox';
import { peers } from './helpers/peers';
import { runNode } from './helpers/process';
import { until, untilState } from './helpers/wait';
import type { WebRtcPeer } from './helpers/WebRtcPeers';

/** The lines that the worker's thread logs, by level and tag. module.test.ts covers the lines of lib/. */

interface Line {
  level: 'debug' | 'warn' | 'error';
  namespace: string;
  text: string;
}

const TAGS = ['ice', 'dtls', 'sctp', 'message', 'info'] as const;

let journal: EventEmitter;
/** The lines of workers' threads; they begin with `[pid:N]`. */
let lines: Line[];

beforeEach(() => {
  journal = new EventEmitter();
  lines = [];
  const take = (level: Line['level']) => (namespace: string, text: string) => {
    if (text.startsWith('[pid:')) {
      lines.push({ level, namespace, text });
      journal.emit('line');
    }
  };
  datasoup.setLogEventListeners({
    ondebug: take('debug'),
    onwarn: take('warn'),
    onerror: take('error'),
  });
});

afterEach(() => datasoup.setLogEventListeners());

function untilLine(pattern: RegExp): Promise<void> {
  return until(
    journal,
    'line',
    () => lines.some(({ text }) => pattern.test(text)),
    () => `${pattern}; there is\n${lines.map(({ text }) => text).join('\n')}`,
    15_000,
  );
}

interface Session {
  worker: types.Worker;
  transport: types.WebRtcTransport;
  peer: WebRtcPeer;
}

/** Connects a client, which sends a message on a stream without a DataProducer and a message that is consumed. */
async function session(settings: types.WorkerSettings): Promise<Session> {
  const worker = await datasoup.createWorker(settings);
  const router = await worker.createRouter();
  // Every system grants a buffer this small; otherwise there would be a warning.
  const listenInfos = LOOPBACK.map((info) => ({ ...info, recvBufferSize: 65_536 }));
  const transport = await router.createWebRtcTransport({ listenInfos, enableSctp: true });
  const dataProducer = await transport.produceData({ sctpStreamParameters: { streamId: 1 } });
  const direct = await router.createDirectTransport();
  const inbox = new Inbox(await direct.consumeData({ dataProducerId: dataProducer.id }));
  const peer = await peers.connect(transport, { channels: [{ id: 1 }, { id: 2 }] });
  await untilState(transport, 'iceState', 'completed');
  await peer.send(2, 'no producer');
  await peer.send(1, 'a producer');
  await inbox.count(1);
  // The worker's answer arrives after all earlier lines.
  await worker.dump();
  return { worker, transport, peer };
}

/** Lets a client fail to connect, because its certificate does not have the expected fingerprint. */
async function failToConnect(worker: types.Worker): Promise<types.WebRtcTransport> {
  const router = await worker.createRouter();
  const transport = await router.createWebRtcTransport({ listenInfos: LOOPBACK });
  const peer = await peers.create({ channels: [{ id: 1 }] });
  await transport.connect({
    dtlsParameters: { role: 'client', fingerprints: SOME_FINGERPRINTS },
  });
  await peer.dial(transport);
  await untilState(transport, 'dtlsState', 'failed');
  await worker.dump();
  return transport;
}

describe('createWorker({ logLevel: debug, logTags })', () => {
  const expected: Record<(typeof TAGS)[number], RegExp[]> = {
    ice: [/the peer is at 127\.0\.0\.1 port \d+/, /ICE Connected/, /ICE Completed/],
    dtls: [/DTLS Connecting/, /DTLS Connected/],
    sctp: [/SCTP Connecting/, /SCTP Connected/],
    message: [/a message of 11 bytes on stream 2 has no DataProducer/],
    info: [/worker started, ports 10000 to 59999/],
  };

  test.each(TAGS)('tag %s logs its lines and no others', async (tag) => {
    const { worker, transport } = await session({ logLevel: 'debug', logTags: [tag] });
    worker.close();
    const texts = lines.map(({ text }) => text);
    for (const pattern of expected[tag]) {
      expect(texts).toContainEqual(expect.stringMatching(pattern));
    }
    expect(texts.filter((text) => !text.startsWith(`[pid:${worker.pid}] ${tag}: `))).toEqual([]);
    if (tag !== 'info') {
      expect(texts.join('\n')).toContain(`transport ${transport.id}: `);
    }
    expect(lines.every(({ namespace }) => /^datasoup:(WARN:)?Worker$/.test(namespace))).toBe(true);
  });

  test('several tags log the lines of all of them', async () => {
    const { worker } = await session({ logLevel: 'debug', logTags: [...TAGS] });
    worker.close();
    const tags = new Set(lines.map(({ text }) => /^\[pid:\d+\] (\w+): /.exec(text)?.[1]));
    expect([...tags].sort()).toEqual([...TAGS].sort());
  });

  test.each<[string, types.WorkerSettings]>([
    ['no tags', { logLevel: 'debug' }],
    ['tags of media', { logLevel: 'debug', logTags: ['rtp', 'bwe'] }],
    ['level error', { logLevel: 'error', logTags: [...TAGS] }],
    ['the default level', { logTags: [...TAGS] }],
    ['level none', { logLevel: 'none', logTags: [...TAGS] }],
  ])('with %s no line is logged', async (_title, settings) => {
    const { worker } = await session(settings);
    worker.close();
    expect(lines).toEqual([]);
  });

  test('each Worker has a level and tags of its own', async () => {
    const verbose = await session({ logLevel: 'debug', logTags: [...TAGS] });
    const count = lines.length;
    const quiet = await session({ logLevel: 'warn', logTags: [...TAGS] });
    await verbose.worker.dump();
    const own = `[pid:${quiet.worker.pid}]`;
    expect(count).toBeGreaterThan(0);
    expect(lines.filter(({ text }) => text.startsWith(own))).toEqual([]);
    verbose.worker.close();
    quiet.worker.close();
  });
});

describe('a DTLS handshake that fails', () => {
  test('logs a warning with tag dtls, with the reason and the transport', async () => {
    const worker = await datasoup.createWorker({ logLevel: 'warn', logTags: ['dtls'] });
    const transport = await failToConnect(worker);
    expect(transport.dtlsError?.message).toMatch(/certificate|fingerprint/);
    worker.close();
    expect(lines).toEqual([
      {
        level: 'warn',
        namespace: 'datasoup:WARN:Worker',
        text:
          `[pid:${worker.pid}] dtls: transport ${transport.id}: DTLS failed: ` +
          transport.dtlsError?.message,
      },
    ]);
  });

  test('logs nothing without the tag', async () => {
    const worker = await datasoup.createWorker({ logLevel: 'warn', logTags: ['ice'] });
    await failToConnect(worker);
    worker.close();
    expect(lines).toEqual([]);
  });
});

describe('worker.updateSettings()', () => {
  test('changes logLevel and logTags, each alone and both together', async () => {
    const worker = await datasoup.createWorker({ logLevel: 'none' });
    const warningsWith = async (settings: types.WorkerUpdateableSettings): Promise<number> => {
      await worker.updateSettings(settings);
      lines = [];
      await failToConnect(worker);
      return lines.filter(({ text }) => text.includes('DTLS failed: ')).length;
    };
    expect(await warningsWith({})).toBe(0);
    expect(await warningsWith({ logLevel: 'warn' })).toBe(0);
    expect(await warningsWith({ logTags: ['dtls'] })).toBe(1);
    expect(await warningsWith({ logLevel: 'error' })).toBe(0);
    expect(await warningsWith({ logLevel: 'debug', logTags: ['dtls', 'ice'] })).toBe(1);
    expect(await warningsWith({ logTags: [] })).toBe(0);
    worker.close();
  });
});

test('DEBUG=datasoup:* prints the lines of a worker’s thread', async () => {
  const { code, stderr } = await runNode(
    `(async () => {
       const worker = await datasoup.createWorker({ logLevel: 'debug', logTags: ['info'] });
       await worker.dump();
       worker.close();
     })();`,
    { env: { DEBUG: 'datasoup:*' } },
  );
  expect(code).toBe(0);
  expect(stderr).toMatch(/ datasoup:Worker \[pid:\d+\] info: worker started/);
  expect(stderr).toMatch(/ datasoup:Worker worker\.close\(\)/);
});

test('a Worker warns once if a receive buffer is smaller than asked for', async () => {
  const worker = await datasoup.createWorker({ logLevel: 'warn', logTags: ['info'] });
  const router = await worker.createRouter();
  const asked = 2 ** 31 - 1;
  const listenInfos = LOOPBACK.map((info) => ({ ...info, recvBufferSize: asked }));
  await router.createWebRtcTransport({ listenInfos });
  await router.createWebRtcTransport({ listenInfos });
  await worker.dump();
  expect(lines.map(({ level, text }) => [level, text])).toEqual([
    [
      'warn',
      expect.stringMatching(`receive buffer of \\d+ bytes instead of the ${asked} requested`),
    ],
  ]);
  worker.close();
});

test('log listeners get the lines without DEBUG', async () => {
  const worker = await datasoup.createWorker({ logLevel: 'debug', logTags: ['info'] });
  await untilLine(/info: worker started/);
  worker.close();
});

test('the end of an association, and of a DataConsumer without a stream, is logged with its reason', async () => {
  const worker = await datasoup.createWorker({ logLevel: 'warn', logTags: ['sctp'] });
  const router = await worker.createRouter();
  const transport = await router.createWebRtcTransport({
    listenInfos: LOOPBACK,
    enableSctp: true,
    maxReceiveMessageSize: 500,
  });
  const { id: dataProducerId } = await (await router.createDirectTransport()).produceData();
  for (const streamId of [2000, 2001, 2002]) {
    await transport.consumeData({ dataProducerId, streamId });
  }
  const peer = await peers.connect(transport, {
    channels: [{ id: 1 }],
    // The SDP gives a higher limit, so that the client sends a message larger than the real limit.
    alter: (sdp) => sdp.replace(/a=max-message-size:\d+/, 'a=max-message-size:262144'),
  });
  await peer.send(1, Buffer.alloc(501));
  const about = `transport ${transport.id}`;
  await untilLine(
    new RegExp(
      `${about}: the association ended: the peer sent a message over the maximum of 500 bytes`,
    ),
  );
  await untilLine(
    new RegExp(
      `${about}: the peer takes only 1024 streams: DataConsumers that close: 3, the first on stream 2000`,
    ),
  );
  expect(lines.map(({ level }) => level)).toEqual(['warn', 'warn']);
  worker.close();
});
