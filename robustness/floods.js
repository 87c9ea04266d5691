'use strict';

// npm run robustness -- floods [--only=REGEX] [--seconds=N] [--rounds=N] [--json] [--list]
//
// One attacker at full speed, in a process of its own, and the round trips of a well-behaved client of the same worker.
// The server runs on one core; client and attacker share another, and the attacker has the lower priority. The first
// flood goes to another Worker of the process: what the machine adds. Fails if the median of the round trip is 10 times
// that without an attack, or if the memory of the process grows.

const { measure } = require('../bench/measure');
const { quantile, sum } = require('../bench/statistics');
const { Attacker, buildAttacker } = require('./load/attacker');
const { Scene } = require('./load/scene');
const { runSuite } = require('./load/suite');
const { pin, rss, watchRss } = require('./load/system');

const SIZE = 100;

/** The promised bound of the median round trip under attack, relative to the quiet one. */
const MAX_RATIO = 10;
/** The tolerated growth of the process's memory: above the bounds of docs/security.md that one flood can fill. */
const MAX_GROWTH_MIB = 16;

/** Niceness of the server and its client, and of the attacker, which shares a core with the client. */
const SERVED = -15;
const ATTACKING = -10;

/**
 * @typedef {object} Flood
 * @property {string} name
 * @property {string} kind - of the attacker.
 * @property {string} title
 * @property {string} unit - what the attacker counts.
 * @property {'port' | 'tcp' | 'session' | 'plain'} at - the target: the shared UDP port, the shared TCP port, a
 * WebRtcTransport of the attacker, or a PlainTransport.
 * @property {boolean} [elsewhere] - at another Worker than the client's.
 * @property {boolean} [own] - the attacker sends from the address of the PlainTransport's peer.
 * @property {import('..').LimitAction} [limit] - the WebRtcTransport has a limit of 100 messages per second.
 */

/**
 * @param {Flood['at']} at
 * @param {string} kind
 * @param {string} title
 * @param {string} unit
 * @returns {Flood}
 */
const flood = (at, kind, title, unit) => ({ name: kind, kind, title, unit, at });

/** @type {Flood[]} */
const cases = [
  {
    ...flood('port', 'garbage', 'random bytes, to another Worker', 'datagrams'),
    name: 'elsewhere',
    elsewhere: true,
  },
  flood('port', 'garbage', 'random bytes', 'datagrams'),
  flood('port', 'client-hello', 'ClientHellos without ICE', 'datagrams'),
  flood('port', 'stun-ufrag', 'STUN, unknown usernames', 'datagrams'),
  flood('port', 'stun-integrity', 'STUN, wrong integrity', 'datagrams'),
  flood('tcp', 'tcp-connects', 'TCP connects', 'connections'),
  flood('tcp', 'tcp-lies', 'TCP, invalid frame lengths', 'connections'),
  flood('tcp', 'tcp-slow', '300 TCP connections, a byte at a time', 'bytes'),
  flood('tcp', 'tcp-empty', '300 TCP connections, empty frames', 'bytes'),
  flood('tcp', 'tcp-stun', '300 TCP connections, STUN, wrong integrity', 'bytes'),
  flood('session', 'dtls-garbage', 'a session: garbage for records', 'datagrams'),
  flood('session', 'sctp-garbage', 'a session: garbage for packets', 'packets'),
  flood('session', 'sctp-messages', 'a session: messages of 1 byte', 'packets of 48'),
  {
    ...flood('session', 'sctp-messages', 'the same, limit: 100/s, drop', 'packets of 48'),
    name: 'limit-drop',
    limit: 'drop',
  },
  {
    ...flood('session', 'sctp-messages', 'the same, limit: 100/s, close', 'packets of 48'),
    name: 'limit-close',
    limit: 'close',
  },
  {
    ...flood('session', 'sctp-messages', 'the same, block: into a closed window', 'packets of 48'),
    name: 'limit-block',
    limit: 'block',
  },
  flood('session', 'sctp-fragments', 'a session: fragments of 1 byte', 'packets of 48'),
  flood('session', 'sctp-heartbeats', 'a session: HEARTBEATs of 1 KB', 'packets'),
  flood('session', 'sctp-resets', 'a session: stream resets', 'packets'),
  flood('session', 'sctp-forward', 'a session: FORWARD TSNs', 'packets'),
  {
    ...flood('plain', 'garbage', 'plain: random bytes, foreign address', 'datagrams'),
    name: 'plain-foreign',
  },
  {
    ...flood('plain', 'garbage', "plain: random bytes, peer's address", 'datagrams'),
    name: 'plain-own',
    own: true,
  },
  {
    ...flood('plain', 'init', "plain: INITs, peer's address", 'datagrams'),
    name: 'plain-init',
    own: true,
  },
];

/**
 * Gives the attacker its target.
 *
 * @param {{ router: any, webRtcServer: any, direct: any, transport: any }} server
 * @param {Flood} flood
 * @param {InstanceType<typeof Attacker>} attacker
 * @returns {Promise<any>} the transport under attack.
 */
async function aim({ router, webRtcServer, direct, transport }, { at, own, limit }, attacker) {
  const fingerprint = await attacker.fingerprint();

  if (at === 'plain') {
    const listenInfo = { protocol: 'udp', ip: '127.0.0.1' };
    const [plain, localPort] = [
      await router.createPlainTransport({ listenInfo, enableSctp: true }),
      40_000,
    ];

    await plain.produceData({ sctpStreamParameters: { streamId: 0 } });
    await plain.connect({ ip: '127.0.0.1', port: localPort });
    await attacker.aim({ ip: '127.0.0.1', port: plain.tuple.localPort, ...(own && { localPort }) });
    return plain;
  }

  const victim =
    at === 'session'
      ? await router.createWebRtcTransport({
          webRtcServer,
          enableSctp: true,
          limit: limit && { messagesPerSecond: 100, action: limit },
        })
      : transport;
  const { usernameFragment, password } = victim.iceParameters;
  const [{ port }] = victim.iceCandidates.filter(
    (/** @type {any} */ { protocol }) => protocol === (at === 'tcp' ? 'tcp' : 'udp'),
  );
  const target = { ip: '127.0.0.1', port, usernameFragment };

  if (at !== 'session') {
    await attacker.aim(target);
    return victim;
  }

  const { id: dataProducerId } = await victim.produceData({
    sctpStreamParameters: { streamId: 0 },
  });

  // The listener makes the worker deliver every message.
  (await direct.consumeData({ dataProducerId })).on('message', () => {});
  await victim.connect({ dtlsParameters: { role: 'client', fingerprints: [fingerprint] } });
  await attacker.aim({ ...target, password, fingerprints: victim.dtlsParameters.fingerprints });
  return victim;
}

/**
 * The counters of the worker, the server, and the transport under attack.
 *
 * @param {{ worker: any, webRtcServer: any }} scene
 * @param {any} victim
 */
async function counters({ worker, webRtcServer }, victim) {
  const dump = await worker.dump();
  const server = await webRtcServer.dump();
  const [stats] = await victim.getStats();
  const datagramsDropped = server.datagramsDropped + stats.datagramsDropped;

  return numbersOf({ ...dump, ...stats, datagramsDropped });
}

/** @param {Record<string, unknown>} object */
function numbersOf(object) {
  return Object.fromEntries(
    Object.entries(object).filter(([name]) =>
      /^(datagrams|dtlsRecords|sctpPackets|sctpChunks|messages|tcpConnections)/.test(name),
    ),
  );
}

/**
 * @param {Record<string, any>} after
 * @param {Record<string, any>} before
 */
function difference(after, before) {
  const changes = Object.keys(after).map((name) => ({
    name,
    change: after[name] - (before[name] ?? 0),
  }));

  return Object.fromEntries(
    changes.filter(({ change }) => change > 0).map(({ name, change }) => [name, change]),
  );
}

/**
 * Alternates between quiet phases and attacks; each attack has a new attacker.
 *
 * @param {Flood & { api: any, seconds: number, rounds: number }} options
 */
async function measureCase({ api, seconds, rounds, ...flood }) {
  const scene = await Scene.create(api);
  const target = flood.elsewhere ? scene.elsewhere : scene;
  const quiet = [];
  const attacked = [];
  const attacks = [];

  pin(process.pid, 0, SERVED);
  scene.clients.pids.forEach((pid) => pin(pid, 1, SERVED));
  await scene.clients.ping({ seconds: 1, size: SIZE });
  global.gc?.();

  const rssBefore = rss(process.pid);
  const memory = watchRss(process.pid);
  /** @type {Record<string, number>} */
  const dropped = {};

  for (let round = 0; round < rounds; round++) {
    quiet.push(...(await scene.clients.ping({ seconds, size: SIZE })));

    const attacker = new Attacker(flood.kind);

    pin(attacker.pid, 1, ATTACKING);

    const victim = await aim(target, flood, attacker);
    const before = await counters(target, victim);

    const {
      latencies = [],
      workerMicros = 0,
      wallMicros,
    } = await measure(async () => {
      attacker.begin();
      return pinged(await scene.clients.ping({ seconds, size: SIZE }));
    }, [target.worker]);

    attacked.push(...Array.from(latencies));
    attacks.push({
      ...(await attacker.end()),
      sctpState: victim.sctpState,
      workerMicros,
      wallMicros,
    });

    const counted = difference(await counters(target, victim), before);

    Object.entries(counted).forEach(
      ([name, value]) => (dropped[name] = (dropped[name] ?? 0) + value),
    );
    if (victim !== target.transport) {
      victim.close();
    }
  }
  quiet.push(...(await scene.clients.ping({ seconds, size: SIZE })));

  const highest = memory.highest();

  global.gc?.();

  const rssAfter = rss(process.pid);

  await scene.close();

  const sent = sum(attacks.map((attack) => attack.sent));
  const time = sum(attacks.map((attack) => attack.seconds));
  const worker = sum(attacks.map(({ workerMicros }) => workerMicros));
  const figures = (/** @type {number[]} */ trips) => ({
    count: trips.length,
    p50: quantile(trips, 0.5),
    p99: quantile(trips, 0.99),
    max: Math.max(...trips),
  });

  return {
    ...flood,
    quiet: figures(quiet),
    attacked: figures(attacked),
    ratio: quantile(attacked, 0.5) / quantile(quiet, 0.5),
    perSecond: sent / time,
    workerShare: worker / sum(attacks.map(({ wallMicros }) => wallMicros)),
    workerMicrosEach: worker / sent,
    ended: attacks.map(({ ended, sctpState }) => (ended ? 'ended' : (sctpState ?? ''))).join(', '),
    rss: { before: rssBefore, highest: highest - rssBefore, after: rssAfter - rssBefore },
    counted: dropped,
  };
}

/** @param {number[]} latencies */
function pinged(latencies) {
  return { items: latencies.length, latencies };
}

const COLUMNS = [
  'flood',
  'attacker, per second',
  'quiet p50 / p99 ms',
  'under attack p50 / p99 ms',
  'p50 ratio',
  "worker's core",
  'RSS',
  'counted',
];

/** @param {any[]} results */
function table(results) {
  return [
    COLUMNS,
    ...results.map(
      ({
        title,
        error,
        unit,
        perSecond,
        quiet,
        attacked,
        ratio,
        workerShare,
        rss,
        counted,
        ended,
      }) =>
        error
          ? [title, 'failed', ...Array(COLUMNS.length - 2).fill('')]
          : [
              title,
              `${Math.round(perSecond).toLocaleString('en')} ${unit}`,
              trip(quiet),
              trip(attacked),
              ratio.toFixed(2),
              `${Math.round(workerShare * 100)} %`,
              `+${Math.max(0, rss.highest).toFixed(1)} MiB`,
              [
                ...Object.entries(counted).map(
                  ([name, count]) => `${name} ${count.toLocaleString('en')}`,
                ),
                ...(ended.includes('ended') ? ['the session ended'] : []),
              ].join(', '),
            ],
    ),
  ];
}

/** @param {{ p50: number, p99: number }} trips */
function trip({ p50, p99 }) {
  return `${(p50 / 1_000).toFixed(2)} / ${(p99 / 1_000).toFixed(1)}`;
}

/** The promises that did not hold. */
function broken(/** @type {any} */ { ratio, rss }) {
  return [
    ...(ratio < MAX_RATIO ? [] : [`the round trip takes ${ratio.toFixed(1)} times as long`]),
    ...(rss.highest < MAX_GROWTH_MIB ? [] : [`${rss.highest.toFixed(1)} MiB more memory`]),
  ];
}

const suite = {
  broken,
  cases,
  defaults: { seconds: 3, rounds: 2 },
  measureCase,
  prepare: buildAttacker,
  table,
};

module.exports = { ...suite, main: () => runSuite(__filename, suite) };
