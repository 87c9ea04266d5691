'use strict';

// node scripts/cross/smoke.js FOLDER
//
// Shows that the package in FOLDER works with this Node.js on this machine: crypto, sockets, threads, a panic, the end
// of the process, errors of the loader. It needs only Node.js, so it runs on every platform. Prints a line for each
// check that passes.

const assert = require('node:assert');
const { createHmac, randomBytes } = require('node:crypto');
const dgram = require('node:dgram');
const { once } = require('node:events');
const fs = require('node:fs');
const net = require('node:net');
const { tmpdir } = require('node:os');
const path = require('node:path');
const { isMainThread, Worker: Thread, workerData } = require('node:worker_threads');

/** For all checks together, even on an emulated processor. */
const PATIENCE_MS = 400_000;

/** The last two are longer than a packet. */
const LENGTHS = [...Array(200).fill(1000), 20_000, 100_000];

const FOLDER = path.resolve(isMainThread ? process.argv[2] : workerData.folder);

/** The latest worker of the addon, which has a method for tests that lib/ does not expose. */
let latest = /** @type {any} */ (undefined);

/** Loads the package. */
function load() {
  const native = require(path.join(FOLDER, 'lib', 'native.js'));

  native.Worker = new Proxy(native.Worker, {
    construct: (Class, args) => (latest = new Class(...args)),
  });
  return require(FOLDER);
}

/** Messages both ways through a DirectTransport. @param {any} router */
async function direct(router) {
  const transport = await router.createDirectTransport();
  const producer = await transport.produceData({ label: 'news' });
  const consumer = await transport.consumeData({ dataProducerId: producer.id });
  const message = once(consumer, 'message');

  producer.send('hello');
  const [payload, ppid] = await message;

  assert.deepStrictEqual([payload.toString(), ppid], ['hello', 51]);
}

/**
 * Sends messages from a router to another one, through two transports that are connected.
 * @param {any} from
 * @param {any} to
 * @param {any[]} transports
 */
async function messages(from, to, [out, into]) {
  const source = await (await from.createDirectTransport()).produceData();
  const consumer = await out.consumeData({ dataProducerId: source.id });
  const { sctpStreamParameters, label, protocol } = consumer;
  const producer = await into.produceData({ sctpStreamParameters, label, protocol });
  const sink = await (
    await to.createDirectTransport()
  ).consumeData({ dataProducerId: producer.id });
  let count = 0;
  const all = new Promise((resolve, reject) => {
    sink.on('message', (/** @type {Buffer} */ payload) => {
      const length = LENGTHS[count];

      if (payload.length !== length || payload.some((byte) => byte !== count % 256)) {
        reject(new Error(`message ${count} of ${payload.length} bytes is wrong`));
      } else if (++count === LENGTHS.length) {
        resolve(undefined);
      }
    });
  });

  for (const [number, length] of LENGTHS.entries()) {
    source.send(Buffer.alloc(length, number % 256));
  }
  await all;
}

/**
 * SCTP over UDP between two workers.
 * @param {'createPlainTransport' | 'createPipeTransport'} create
 * @param {any[]} routers
 * @param {string} ip
 */
async function overUdp(create, routers, ip) {
  const options = { listenInfo: { protocol: 'udp', ip }, enableSctp: true };
  const [a, b] = await Promise.all(routers.map((router) => router[create](options)));

  await a.connect({ ip, port: b.tuple.localPort });
  await b.connect({ ip, port: a.tuple.localPort });
  await messages(routers[0], routers[1], [a, b]);
}

/**
 * A peer that starts late is reached. Until then the system refuses our datagrams to it, which on Windows could fail a
 * later receive.
 * @param {any[]} routers
 * @param {string} ip
 */
async function latePeer(routers, ip) {
  const create = (/** @type {any} */ router, port = 0) =>
    router.createPlainTransport({ listenInfo: { protocol: 'udp', ip, port }, enableSctp: true });
  const [early, gone] = await Promise.all(routers.map((router) => create(router)));
  const { localPort } = gone.tuple;
  const source = await (await routers[0].createDirectTransport()).produceData();

  gone.close();
  // With a consumer, the transport begins an association.
  await early.consumeData({ dataProducerId: source.id });
  await early.connect({ ip, port: localPort });
  for (let sent = 0; sent === 0;) [{ bytesSent: sent }] = await early.getStats();
  const late = await create(routers[1], localPort);

  await late.connect({ ip, port: early.tuple.localPort });
  await messages(routers[0], routers[1], [early, late]);
}

/** An attribute of STUN (RFC 8489 §14). @param {number} type @param {Buffer} value */
function attribute(type, value) {
  const header = Buffer.alloc(4);

  header.writeUInt16BE(type, 0);
  header.writeUInt16BE(value.length, 2);
  return Buffer.concat([header, value, Buffer.alloc((4 - (value.length % 4)) % 4)]);
}

/** The check of a controlling ICE agent that nominates. @param {any} iceParameters */
function iceCheck({ usernameFragment, password }) {
  const attributes = Buffer.concat([
    attribute(0x0006, Buffer.from(`${usernameFragment}:smoke`)),
    attribute(0x0024, Buffer.from([0, 0, 1, 0])),
    attribute(0x0025, Buffer.alloc(0)),
    attribute(0x802a, randomBytes(8)),
  ]);
  const header = Buffer.from([0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42, ...randomBytes(12)]);

  // The length includes the integrity, which covers what comes before it.
  header.writeUInt16BE(attributes.length + 24, 2);
  const signed = Buffer.concat([header, attributes]);

  return Buffer.concat([
    signed,
    attribute(0x0008, createHmac('sha1', password).update(signed).digest()),
  ]);
}

/**
 * Two WebRtcTransports, both ICE-Lite, with a relay that does the checks: DTLS in both roles, and SCTP over it.
 * @param {any[]} routers
 * @param {string} ip
 */
async function webRtc(routers, ip) {
  const options = { listenInfos: [{ protocol: 'udp', ip }], enableSctp: true };
  const ends = await Promise.all(routers.map((router) => router.createWebRtcTransport(options)));
  const sockets = ends.map(() => dgram.createSocket(net.isIPv6(ip) ? 'udp6' : 'udp4'));

  for (const [number, socket] of sockets.entries()) {
    const { port } = ends[1 - number].iceCandidates[0];

    // The first byte of STUN is 0 or 1, that of DTLS 20 or more (RFC 7983).
    socket.on('message', (datagram) => {
      if (datagram[0] > 1) sockets[1 - number].send(datagram, port, ip);
    });
    socket.bind(0, ip);
    await once(socket, 'listening');
  }
  const [client, server] = ends;

  await client.connect({ dtlsParameters: { ...server.dtlsParameters, role: 'server' } });
  await server.connect({ dtlsParameters: { ...client.dtlsParameters, role: 'client' } });
  for (const [number, end] of ends.entries()) {
    const selected = once(end, 'icestatechange');

    sockets[number].send(iceCheck(end.iceParameters), end.iceCandidates[0].port, ip);
    await selected;
  }
  await messages(routers[0], routers[1], ends);
  for (const socket of sockets) socket.close();
}

/** A check over TCP (RFC 4571) is answered. @param {any} router @param {string} ip */
async function tcp(router, ip) {
  const listenInfos = [{ protocol: 'tcp', ip }];
  const transport = await router.createWebRtcTransport({ listenInfos, enableTcp: true });
  const [{ port }] = transport.iceCandidates;
  const socket = net.connect(port, ip);
  const request = iceCheck(transport.iceParameters);

  socket.write(Buffer.concat([Buffer.from([0, request.length]), request]));
  const [answer] = await once(socket, 'data');

  assert.strictEqual(answer.readUInt16BE(2), 0x0101, 'a success response');
  socket.destroy();
}

/**
 * No other socket gets the port of a transport, not even one that asks to share it.
 * @param {any} router
 * @param {string} ip
 */
async function ownPort(router, ip) {
  const listenInfo = { protocol: 'udp', ip };
  const { tuple } = await router.createPlainTransport({ listenInfo });
  const thief = dgram.createSocket({ type: net.isIPv6(ip) ? 'udp6' : 'udp4', reuseAddr: true });

  thief.bind(tuple.localPort, ip);
  await assert.rejects(once(thief, 'listening'), { code: /^(EADDRINUSE|EACCES)$/ });
  thief.close();
  const taken = { protocol: 'udp', ip, port: tuple.localPort };

  await assert.rejects(router.createPlainTransport({ listenInfo: taken }), /^Error: cannot bind/);
}

/** @param {any} worker */
async function usage(worker) {
  const {
    ru_utime: user,
    ru_stime: system,
    ru_maxrss: kilobytes,
  } = await worker.getResourceUsage();

  assert(user >= 0 && system >= 0 && user + system < PATIENCE_MS, `${user} ms, ${system} ms`);
  assert(kilobytes > 1000 && kilobytes < 4 << 20, `${kilobytes} KB`);
  assert(worker.pid > 0, `pid ${worker.pid}`);
  const [stats] = await (await (await worker.createRouter()).createDirectTransport()).getStats();

  // The clock of the statistics runs.
  assert(stats.timestamp > 0, `timestamp ${stats.timestamp}`);
}

/** A panic of a worker's thread is an event, and other workers go on. */
async function panic() {
  const { createWorker } = require(FOLDER);
  const worker = await createWorker();
  const died = once(worker, 'died');

  latest.panicForTests();
  const [error] = await died;

  assert.match(error.message, /panic for tests/);
  assert(worker.closed);
}

/** A thread of Node.js that is terminated, and one that closes its worker. The addon is unloaded at the end of each. */
async function threads() {
  for (let count = 0; count < 2; count += 1) {
    const thread = startThread('worker');
    const [message] = await once(thread, 'message');

    assert.strictEqual(message, 'hello');
    if (count === 0) await thread.terminate();
    else await once(thread, 'exit');
  }
}

/**
 * The errors of the loader for unusable addons, in folders with spaces and non-ASCII letters. In a thread, so that
 * Windows unloads the addons and they can be removed.
 */
async function loader() {
  const base = fs.mkdtempSync(path.join(tmpdir(), 'datasoup süß 汤 '));

  try {
    const [code] = await once(startThread('loader', { base }), 'exit');

    assert.strictEqual(code, 0);
  } finally {
    fs.rmSync(base, { recursive: true, force: true });
  }
}

/**
 * @param {keyof typeof TASKS} task
 * @param {object} [data]
 */
function startThread(task, data) {
  return new Thread(__filename, { workerData: { folder: FOLDER, task, ...data } });
}

/** What threads do. */
const TASKS = {
  async worker() {
    const { parentPort } = require('node:worker_threads');
    const worker = await load().createWorker();

    await direct(await worker.createRouter());
    parentPort?.postMessage('hello');
    setTimeout(() => worker.close(), 500);
  },

  loader() {
    require(path.join(FOLDER, 'lib', 'native.js'));
    const addon = Object.keys(require.cache).find((it) => it.endsWith('.node')) ?? '';
    const name = path.basename(addon);
    const bytes = fs.readFileSync(addon);
    // Only debuggers need the part behind this.
    const { length } = require(path.join(FOLDER, 'lib', 'binary.js')).readBinary(addon);
    const manifest = require(path.join(FOLDER, 'package.json'));
    const { arch } = process;
    const other = arch === 'x64' ? 'arm64' : 'x64';
    const { base } = workerData;
    let count = 0;
    /**
     * @param {RegExp} message
     * @param {Buffer} [content] Of the addon, if there is one.
     * @param {string} [version] Of the JavaScript.
     */
    const refuses = (message, content, version = manifest.version) => {
      const folder = path.join(base, `${(count += 1)}`);

      fs.cpSync(path.join(FOLDER, 'lib'), path.join(folder, 'lib'), { recursive: true });
      fs.writeFileSync(path.join(folder, 'package.json'), JSON.stringify({ ...manifest, version }));
      if (content) {
        fs.mkdirSync(path.join(folder, 'native'));
        fs.writeFileSync(path.join(folder, 'native', name), content);
      }
      assert.throws(() => require(path.join(folder, 'lib', 'native.js')), { message });
    };

    refuses(/^datasoup's binary for this platform is missing: the package @datasoup\//);
    refuses(
      RegExp(`is for ${other} \\(\\S+\\), but this Node\\.js is for ${arch} `),
      forProcessor(bytes, other),
    );
    for (const end of [length - 1, 4096]) {
      refuses(RegExp(`is truncated: it has ${end} of ${length} bytes`), bytes.subarray(0, end));
    }
    for (const content of [Buffer.alloc(0), Buffer.from('no library '.repeat(99))]) {
      refuses(/does not load on /, content);
    }
    const escaped = manifest.version.replaceAll('.', '\\.');
    refuses(RegExp(`^datasoup is 9\\.8\\.7, but .*\\.node is ${escaped}\\. `), bytes, '9.8.7');
  },
};

/**
 * A copy of a library that claims to be for another processor.
 * @param {Buffer} bytes
 * @param {string} arch
 */
function forProcessor(bytes, arch) {
  const copy = Buffer.from(bytes);
  const is = (/** @type {number} */ x64, /** @type {number} */ arm64) =>
    arch === 'x64' ? x64 : arm64;

  switch (process.platform) {
    case 'win32':
      copy.writeUInt16LE(is(0x8664, 0xaa64), copy.readUInt32LE(0x3c) + 4);
      break;
    case 'darwin':
      copy.writeUInt32LE(is(0x01000007, 0x0100000c), 4);
      break;
    default:
      copy.writeUInt16LE(is(62, 183), 18);
  }
  return copy;
}

/** @param {string} name @param {() => Promise<void>} run */
async function check(name, run) {
  const start = Date.now();

  try {
    await run();
  } catch (error) {
    throw new Error(`${name} failed`, { cause: error });
  }
  console.log(`smoke: ${name} ok (${Date.now() - start} ms)`);
}

async function main() {
  const start = Date.now();
  const late = setTimeout(() => {
    console.error(`smoke: not done after ${PATIENCE_MS / 1000} s`);
    process.exit(1);
  }, PATIENCE_MS);
  await check('threads', threads);
  await check('loader', loader);
  const { createWorker } = load();
  const workers = [await createWorker(), await createWorker()];
  const routers = await Promise.all(workers.map((worker) => worker.createRouter()));

  await check('direct', () => direct(routers[0]));

  for (const ip of ['127.0.0.1', '::1']) {
    await check(`pipe ${ip}`, () => overUdp('createPipeTransport', routers, ip));
    await check(`plain ${ip}`, () => overUdp('createPlainTransport', routers, ip));
    await check(`late peer ${ip}`, () => latePeer(routers, ip));
    await check(`webrtc ${ip}`, () => webRtc(routers, ip));
    await check(`tcp ${ip}`, () => tcp(routers[0], ip));
    await check(`own port ${ip}`, () => ownPort(routers[0], ip));
  }
  await check('usage', () => usage(workers[0]));
  await check('panic', panic);
  await check('direct, after the panic', () => direct(routers[1]));
  for (const worker of workers) worker.close();
  clearTimeout(late);
  process.on('exit', (code) => {
    const { platform, arch, version } = process;
    const end = code === 0 ? 'OK' : `exit code ${code}`;

    console.log(`smoke: ${end}, ${platform} ${arch} ${version}, ${Date.now() - start} ms`);
  });
}

if (isMainThread) {
  main().catch((error) => {
    console.error(error);
    process.exit(1);
  });
} else {
  // A failure here is an 'error' event of the thread.
  TASKS[/** @type {keyof typeof TASKS} */ (workerData.task)]();
}
