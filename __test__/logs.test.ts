import { EventEmitter } from 'node:events';
import * as datasoup from '..';
import type { types } from '..';
import { LOOPBACK, SOME_FINGERPRINTS } from './helpers/arrangement';
import { Inbox } from './helpers/Inbox';
import { runNode } from './helpers/process';
import { until, untilState } from './helpers/wait';
import { WebRtcPeers, type WebRtcPeer } from './helpers/WebRtcPeers';

/** What the worker's thread logs, by level and tag. What lib/ logs is in module.test.ts. */

interface Line {
  level: 'debug' | 'warn' | 'error';
  namespace: string;
  text: string;
}

const TAGS = ['ice', 'dtls', 'sctp', 'message', 'info'] as const;

let peers: WebRtcPeers;
let journal: EventEmitter;
/** The lines of workers' threads, which begin with `[pid:N]`. */
let lines: Line[];

beforeAll(() => {
  peers = new WebRtcPeers();
});

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

afterAll(() => peers.close());

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

/** A client connects, sends a message without a consumer and one with a consumer. */
async function session(settings: types.WorkerSettings): Promise<Session> {
  const worker = await datasoup.createWorker(settings);
  const router = await worker.createRouter();
  const transport = await router.createWebRtcTransport({ listenInfos: LOOPBACK, enableSctp: true });
  const dataProducer = await transport.produceData({ sctpStreamParameters: { streamId: 1 } });
  const direct = await router.createDirectTransport();
  const inbox = new Inbox(await direct.consumeData({ dataProducerId: dataProducer.id }));
  const peer = await peers.connect(transport, { channels: [{ id: 1 }, { id: 2 }] });
  await untilState(transport, 'iceState', 'completed');
  await peer.send(2, 'no consumer');
  await peer.send(1, 'a consumer');
  await inbox.count(1);
  // Its answer arrives after all earlier lines.
  await worker.dump();
  return { worker, transport, peer };
}

/** A client whose certificate is not the expected one. */
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
    message: [/11 bytes on stream 2: has no DataProducer/],
    info: [/worker started, ports 10000 to 59999/],
  };

  test.each(TAGS)('%s: its lines, and no others', async (tag) => {
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

  test('several tags: the lines of all of them', async () => {
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
  ])('%s: no lines', async (_title, settings) => {
    const { worker } = await session(settings);
    worker.close();
    expect(lines).toEqual([]);
  });

  test('each worker has its own', async () => {
    const talkative = await session({ logLevel: 'debug', logTags: [...TAGS] });
    const count = lines.length;
    const quiet = await session({ logLevel: 'warn', logTags: [...TAGS] });
    await talkative.worker.dump();
    const own = `[pid:${quiet.worker.pid}]`;
    expect(count).toBeGreaterThan(0);
    expect(lines.filter(({ text }) => text.startsWith(own))).toEqual([]);
    talkative.worker.close();
    quiet.worker.close();
  });
});

describe('a DTLS handshake that fails', () => {
  test('is a warning of tag dtls, with the reason and the transport', async () => {
    const worker = await datasoup.createWorker({ logLevel: 'warn', logTags: ['dtls'] });
    const transport = await failToConnect(worker);
    worker.close();
    expect(lines).toEqual([
      {
        level: 'warn',
        namespace: 'datasoup:WARN:Worker',
        text: expect.stringMatching(/^\[pid:\d+\] dtls: DTLS failed: .*(certificate|fingerprint)/),
      },
      {
        level: 'warn',
        namespace: 'datasoup:WARN:Worker',
        text: `[pid:${worker.pid}] dtls: transport ${transport.id}: DTLS Failed`,
      },
    ]);
  });

  test('is silent without the tag', async () => {
    const worker = await datasoup.createWorker({ logLevel: 'warn', logTags: ['ice'] });
    await failToConnect(worker);
    worker.close();
    expect(lines).toEqual([]);
  });
});

describe('worker.updateSettings()', () => {
  test('logLevel and logTags, each alone and at once', async () => {
    const worker = await datasoup.createWorker({ logLevel: 'none' });
    const said = async (settings: types.WorkerUpdateableSettings): Promise<number> => {
      await worker.updateSettings(settings);
      lines = [];
      await failToConnect(worker);
      return lines.filter(({ text }) => text.includes('DTLS failed')).length;
    };
    expect(await said({})).toBe(0);
    expect(await said({ logLevel: 'warn' })).toBe(0);
    expect(await said({ logTags: ['dtls'] })).toBe(1);
    expect(await said({ logLevel: 'error' })).toBe(0);
    expect(await said({ logLevel: 'debug', logTags: ['dtls', 'ice'] })).toBe(1);
    expect(await said({ logTags: [] })).toBe(0);
    worker.close();
  });
});

test('DEBUG=datasoup:* shows what a worker’s thread logs', async () => {
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

test('lines reach the listeners without DEBUG', async () => {
  const worker = await datasoup.createWorker({ logLevel: 'debug', logTags: ['info'] });
  await untilLine(/info: worker started/);
  worker.close();
});
