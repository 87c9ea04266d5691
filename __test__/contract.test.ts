import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import {
  parseDataConsumerOptions,
  parseDataProducerOptions,
  parseMoveOptions,
} from '../lib/options/data';
import { parsePipeToRouterOptions } from '../lib/options/pipeToRouter';
import {
  parseBitrates,
  parseDirectTransportOptions,
  parsePipeTransportOptions,
  parsePlainTransportOptions,
  parseUdpConnectOptions,
} from '../lib/options/transport';
import { parseWebRtcConnectOptions, parseWebRtcTransportOptions } from '../lib/options/webRtc';
import {
  parseLogSettings,
  parseWebRtcServerOptions,
  parseWorkerSettings,
} from '../lib/options/worker';
import * as datasoup from '..';

/**
 * The JavaScript half of the contract between lib/ and Rust; the other half is `tests/contract/main.rs`. To accept a
 * change: `UPDATE_FIXTURES=1 npx jest contract`.
 *
 * `tests/contract/options/<struct>.json` has the options that lib/ makes of the calls below. This test makes the file;
 * cargo reads it with the struct of that name, which rejects unknown members.
 *
 * `tests/contract/answers/<struct>.json` has the answers of a worker, made by cargo. This test makes `types/answers.ts`
 * of them, as constants with the types of index.d.ts and lib/answers.d.ts, which `tsc -p .` checks.
 */

const OPTIONS = join(__dirname, '../tests/contract/options');
const ANSWERS = join(__dirname, '../tests/contract/answers');
const TYPED_ANSWERS = join(__dirname, 'types/answers.ts');
const FILES = join(__dirname, 'helpers/fixtures');

const UDP = { protocol: 'udp', ip: '127.0.0.1' };
const TCP = { protocol: 'tcp', ip: '::1' };
const FULL_LISTEN_INFO = {
  ...UDP,
  announcedAddress: 'sfu.example',
  exposeInternalIp: true,
  portRange: { min: 40_000, max: 40_100 },
  flags: { ipv6Only: true, udpReusePort: true },
  sendBufferSize: 100_000,
  recvBufferSize: 200_000,
};
const OLDER_LISTEN_IP = { ip: '127.0.0.1', announcedIp: '192.0.2.1' };
const FULL_SCTP = {
  enableSctp: true,
  maxSendMessageSize: 1,
  maxReceiveMessageSize: 2,
  sctpSendBufferSize: 3,
  sctpPerStreamSendQueueLimit: 4,
  sctpMaxReceiverWindowBufferSize: 5,
  sctpDefaultStreamBufferedAmountLowThreshold: 6,
  sctpCongestionControl: 'bbr',
};
const FULL_SCTP_OVER_UDP = { ...FULL_SCTP, sctpSilence: 1000 };
const OLDER_SCTP = {
  enableSctp: true,
  maxSctpMessageSize: 1000,
  numSctpStreams: { OS: 16, MIS: 16 },
};
const ID = '5e7ad0b5-1a0e-4f5c-8a39-1d5f5b1d9f10';
const FINGERPRINT = { algorithm: 'sha-256', value: Array(32).fill('AB').join(':') };

/** By Rust struct: the options that lib/ makes of a minimal call, of one with all options, and of older spellings. */
const CASES: Record<string, () => unknown[] | Promise<unknown[]>> = {
  WorkerSettings: () =>
    Promise.all([
      parseWorkerSettings({}),
      parseWorkerSettings({
        logLevel: 'debug',
        logTags: ['ice', 'sctp'],
        rtcMinPort: 40_000,
        maxMemory: 8 * 1024 ** 3,
        rtcMaxPort: 49_999,
        dtlsCertificateFile: join(FILES, 'ec-cert.pem'),
        dtlsPrivateKeyFile: join(FILES, 'ec-key.pem'),
      }),
    ]),
  LogSettings: () => [
    parseLogSettings({}),
    parseLogSettings({ logLevel: 'warn' }),
    parseLogSettings({ logLevel: 'none', logTags: ['dtls', 'rtp'] }),
  ],
  WebRtcServerOptions: () => [
    parseWebRtcServerOptions({ listenInfos: [UDP, TCP] }),
    parseWebRtcServerOptions({ listenInfos: [FULL_LISTEN_INFO, { ...TCP, port: 44_443 }] }),
    parseWebRtcServerOptions({ listenInfos: [{ ...UDP, announcedIp: '192.0.2.1' }] }),
  ],
  WebRtcTransportOptions: () => [
    parseWebRtcTransportOptions({ listenInfos: [UDP] }, false),
    parseWebRtcTransportOptions({}, true),
    parseWebRtcTransportOptions(
      {
        listenInfos: [FULL_LISTEN_INFO, TCP],
        enableUdp: false,
        enableTcp: true,
        preferUdp: true,
        preferTcp: true,
        iceConsentTimeout: 20,
        limit: { messagesPerSecond: 100 },
        ...FULL_SCTP,
      },
      false,
    ),
    parseWebRtcTransportOptions(
      {
        listenIps: ['127.0.0.1', OLDER_LISTEN_IP],
        port: 44_444,
        enableTcp: true,
        preferTcp: true,
        ...OLDER_SCTP,
      },
      false,
    ),
    ...[0, 1, 1000].map((iceConsentTimeout) =>
      parseWebRtcTransportOptions({ iceConsentTimeout }, true),
    ),
  ],
  PlainTransportOptions: () => [
    parsePlainTransportOptions({ listenInfo: UDP }),
    parsePlainTransportOptions({
      listenInfo: FULL_LISTEN_INFO,
      comedia: true,
      limit: { bytesPerSecond: 10_000, action: 'pause' },
      ...FULL_SCTP_OVER_UDP,
    }),
    parsePlainTransportOptions({ listenIp: OLDER_LISTEN_IP, port: 44_444, ...OLDER_SCTP }),
  ],
  PipeTransportOptions: () => [
    parsePipeTransportOptions({ listenInfo: UDP }),
    parsePipeTransportOptions({
      listenInfo: FULL_LISTEN_INFO,
      enableDtls: true,
      ...FULL_SCTP_OVER_UDP,
    }),
    parsePipeTransportOptions({ listenIp: '127.0.0.1', port: 44_444, ...OLDER_SCTP }),
    ...[{}, { listenInfo: FULL_LISTEN_INFO }, { listenIp: '::1', ...OLDER_SCTP }].map(
      (options) => piped(options).transport,
    ),
  ],
  DirectTransportOptions: () => [
    parseDirectTransportOptions({}),
    parseDirectTransportOptions({ maxSendMessageSize: 1, maxReceiveMessageSize: 2 }),
    parseDirectTransportOptions({ maxMessageSize: 1000 }),
  ],
  WebRtcConnectOptions: () => [
    parseWebRtcConnectOptions({ dtlsParameters: { fingerprints: [FINGERPRINT] } }),
    ...['auto', 'client', 'server'].map((role) =>
      parseWebRtcConnectOptions({ dtlsParameters: { role, fingerprints: [FINGERPRINT] } }),
    ),
  ],
  UdpConnectOptions: () => [
    parseUdpConnectOptions({ ip: '192.0.2.1', port: 5000 }, true, false),
    parseUdpConnectOptions(
      {
        ip: '2001:db8::1',
        port: 65_535,
        dtlsParameters: { role: 'server', fingerprints: [FINGERPRINT] },
      },
      true,
      true,
    ),
  ],
  Bitrates: () => [
    parseBitrates({}, 'maxIncomingBitrate', 0),
    parseBitrates(
      { maxIncomingBitrate: 3_000_000, maxOutgoingBitrate: 2_000_000 },
      'minOutgoingBitrate',
      1_000_000,
    ),
  ],
  DataProducerOptions: () => [
    parseDataProducerOptions({}, true),
    parseDataProducerOptions({ sctpStreamParameters: { streamId: 0 } }, false),
    ...[{ maxPacketLifeTime: 100 }, { maxRetransmits: 0 }, { ordered: false }].map((reliability) =>
      parseDataProducerOptions(
        {
          id: ID,
          label: 'label',
          protocol: 'protocol',
          paused: true,
          whilePaused: 'hold',
          retain: { messages: 50, bytes: 1000, maxAge: 2000 },
          limit: { messagesPerSecond: 100, bytesPerSecond: 10_000, burst: 0.5, action: 'close' },
          sctpStreamParameters: { streamId: 65_534, ...reliability },
        },
        false,
      ),
    ),
  ],
  MoveOptions: () => [
    parseMoveOptions({ sctpStreamParameters: { streamId: 0 } }),
    parseMoveOptions({ sctpStreamParameters: { streamId: 65_534, maxRetransmits: 3 } }),
    parseMoveOptions({ sctpStreamParameters: { streamId: 1, maxPacketLifeTime: 3 } }),
  ],
  DataConsumerOptions: () => [
    parseDataConsumerOptions({ dataProducerId: ID }, true),
    parseDataConsumerOptions({ dataProducerId: ID }, false),
    parseDataConsumerOptions({ dataProducerId: ID, negotiated: false }, false),
    ...[{ maxPacketLifeTime: 100 }, { maxRetransmits: 0 }, { ordered: true }].map((reliability) =>
      parseDataConsumerOptions(
        {
          dataProducerId: ID,
          paused: true,
          whilePaused: 'hold',
          subchannels: [0, 65_535],
          strictSubchannels: true,
          retained: false,
          streamId: 65_534,
          overflow: 'drop-oldest',
          maxBufferedAmount: 0,
          maxQueueDelay: 4_294_967_295,
          ...reliability,
        },
        false,
      ),
    ),
    parseDataConsumerOptions(
      { dataProducerId: ID, overflow: 'block', overflowTimeout: 0 },
      false,
      true,
    ),
    parseDataConsumerOptions({ dataProducerId: ID, overflow: 'block', overflowTimeout: 500 }, true),
    ...['drop-newest', 'keep-latest', 'block', 'close'].map((overflow) =>
      parseDataConsumerOptions({ dataProducerId: ID, overflow, maxBufferedAmount: 1 }, true),
    ),
  ],
};

function piped(options: object): ReturnType<typeof parsePipeToRouterOptions> {
  return parsePipeToRouterOptions({ dataProducerId: ID, router: other, ...options }, router as any);
}

let worker: datasoup.types.Worker;
let router: datasoup.types.Router;
let other: datasoup.types.Router;

beforeAll(async () => {
  worker = await datasoup.createWorker();
  [router, other] = [await worker.createRouter(), await worker.createRouter()];
});

afterAll(() => worker.close());

/** Compares `content` with that of `file`, after writing it if fixtures are updated. */
function expectFile(file: string, content: string): void {
  if (process.env['UPDATE_FIXTURES']) {
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, content);
  }
  expect(content).toBe(existsSync(file) ? readFileSync(file, 'utf8') : undefined);
}

function structsIn(folder: string): string[] {
  return readdirSync(folder)
    .map((file) => file.replace(/\.json$/, ''))
    .sort();
}

describe('options', () => {
  test.each(Object.entries(CASES))('%s: lib/ sends what the fixture holds', async (name, make) => {
    expectFile(join(OPTIONS, `${name}.json`), `${JSON.stringify(await make(), null, 2)}\n`);
  });

  test('each fixture is of a struct above', () => {
    expect(structsIn(OPTIONS)).toEqual(Object.keys(CASES).sort());
  });
});

describe('answers', () => {
  const STAT_TYPES: Record<string, string> = {
    'webrtc-transport': 'types.WebRtcTransportStat',
    'plain-rtp-transport': 'types.PlainTransportStat',
    'pipe-transport': 'types.PipeTransportStat',
    'direct-transport': 'types.DirectTransportStat',
  };

  /** The TypeScript type of each answer, by the name of its Rust struct. */
  const TYPES: Record<string, (answer: any) => string | undefined> = {
    WorkerAnswer: () => 'answers.WorkerAnswer',
    CreatedAnswer: () => 'answers.CreatedAnswer',
    WebRtcTransportAnswer: () => 'answers.WebRtcTransportAnswer',
    UdpTransportAnswer: () => 'answers.UdpTransportAnswer',
    WebRtcConnectAnswer: () => 'answers.WebRtcConnectAnswer',
    UdpConnectAnswer: () => 'answers.UdpConnectAnswer',
    WorkerMetrics: () => 'answers.WorkerMetrics',
    WorkerDump: () => 'types.WorkerDump',
    WebRtcServerDump: () => 'types.WebRtcServerDump',
    RouterDump: () => 'types.RouterDump',
    TransportDump: (dump) => {
      if ('iceRole' in dump) {
        return 'types.WebRtcTransportDump';
      }
      if ('comedia' in dump) {
        return 'types.PlainTransportDump';
      }
      return 'rtx' in dump ? 'types.PipeTransportDump' : 'types.DirectTransportDump';
    },
    Diagnosis: () => 'types.TransportDiagnosis',
    TransportStats: ({ type }) => STAT_TYPES[type],
    DataProducerDump: () => 'types.DataProducerDump',
    DataProducerStats: () => 'types.DataProducerStat',
    DataConsumerDump: () => 'types.DataConsumerDump',
    DataConsumerStats: () => 'types.DataConsumerStat',
    TupleInfo: () => 'types.TransportTuple',
    IceParameters: () => 'types.IceParameters',
    NegotiatedStreams: () => 'types.SctpNegotiatedCapabilities',
    DataChannelInfo: () => "types.WebRtcTransportEvents['datachannel'][0]",
    DropCount: () => "types.DataConsumerEvents['overflow'][0]",
  };

  test('types/answers.ts holds the fixtures, with a type for each', () => {
    expect(structsIn(ANSWERS)).toEqual(Object.keys(TYPES).sort());
    const constants = structsIn(ANSWERS).flatMap((struct) => {
      const fixture: unknown[] = JSON.parse(readFileSync(join(ANSWERS, `${struct}.json`), 'utf8'));
      return fixture.map((answer, index) => {
        const type = TYPES[struct]!(answer);
        expect(type).toBeDefined();
        return `export const ${struct}${index}: ${type} = ${JSON.stringify(answer, null, 2)};\n`;
      });
    });
    expectFile(
      TYPED_ANSWERS,
      [
        '// Made by contract.test.ts of tests/contract/answers/.\n',
        "import type { types } from '../..';",
        "import type * as answers from '../../lib/answers';\n",
        ...constants,
      ].join('\n'),
    );
  });
});
