/// <reference lib="dom" />

'use strict';

// npm run robustness -- files [--mib=64] [--json]
//
// Sends a file from the disk through dataProducer.writable() and a DataConsumer with the policy 'block' to Chromium,
// over 12 Mbit/s and a round trip of 40 ms. Fails if a message is lost or changed, or if this process grows by over 32
// MiB. --mib=1024 takes 13 minutes. Needs Chromium.

const { createHash, randomFillSync } = require('node:crypto');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { pipeline } = require('node:stream/promises');

const { launchChromium } = require('../__test__/helpers/chromium');
const { IMPL } = require('../bench/implementation');
const { answerOf, dtlsParametersOf } = require('../examples/sdp');
const { readOptions } = require('../scripts/options');
const { Network } = require('./load/network');
const { rss, watchRss } = require('./load/system');

const { createWorker } = require(IMPL);

const MIB = 1024 * 1024;
/** The size of a message: a chunk of the file. */
const CHUNK = 64 * 1024;
/** 40 ms and 12 Mbit/s, with room for a quarter of a second: a queue of a home router. */
const CONDITIONS = { delay: 20, rate: 1_500_000, queue: 375_000 };
/** By how much this process may grow, in MiB. */
const MEMORY = 32;

async function main() {
  const { mib, json } = readOptions({
    mib: { type: 'integer', default: 64 },
    json: { type: 'boolean' },
  });
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'datasoup-files-'));

  try {
    const result = await transfer(path.join(folder, 'file'), mib);
    const broken = brokenOf(result);

    console.log(json ? JSON.stringify(result) : lineOf(result));
    broken.forEach((what) => console.error(what));
    process.exitCode = broken.length > 0 ? 1 : 0;
  } finally {
    fs.rmSync(folder, { recursive: true });
  }
}

/**
 * @param {string} file
 * @param {number} mib
 */
async function transfer(file, mib) {
  const expected = makeFile(file, mib);
  const browser = await launchChromium();
  const network = new Network();
  const worker = await createWorker();

  try {
    const router = await worker.createRouter();
    const direct = await router.createDirectTransport();
    const dataProducer = await direct.produceData();
    const transport = await router.createWebRtcTransport({
      listenInfos: [{ protocol: 'udp', ip: '127.0.0.1' }],
      enableSctp: true,
    });
    const dataConsumer = await transport.consumeData({
      dataProducerId: dataProducer.id,
      streamId: 0,
      overflow: 'block',
      // The default protects other DataConsumers, of which there are none.
      overflowTimeout: 0xffffffff,
    });
    const page = await browser.newPage();

    // A page of an origin that may use crypto.subtle.
    await page.route('**', (route) => route.fulfill({ body: '', contentType: 'text/html' }));
    await page.goto('https://files.test/');

    const offer = await page.evaluate(receive);
    const [hidden] = await network.hide([transport], CONDITIONS, 1);

    await transport.connect({ dtlsParameters: dtlsParametersOf(offer) });
    await page.evaluate((sdp) => /** @type {any} */ (globalThis).connect(sdp), answerOf(hidden));

    const before = rss(process.pid);
    const memory = watchRss(process.pid);
    const start = performance.now();

    await pipeline(fs.createReadStream(file, { highWaterMark: CHUNK }), dataProducer.writable());

    const seconds = (performance.now() - start) / 1_000;
    const more = memory.highest() - before;
    const [{ messagesSent, messagesDropped }] = await dataConsumer.getStats();
    const { hash, messages } = await page.evaluate(() =>
      /** @type {any} */ (globalThis).received(),
    );

    return {
      mib,
      seconds,
      kbPerSecond: (mib * MIB) / seconds / 1_000,
      before,
      more,
      sent: messagesSent,
      dropped: messagesDropped,
      received: messages,
      equal: hash === expected,
    };
  } finally {
    worker.close();
    await network.close();
    await browser.close();
  }
}

/**
 * Fills a file with random bytes.
 *
 * @param {string} file
 * @param {number} mib
 * @returns {string} the hash that the page computes: each step hashes the previous hash and the next chunk.
 */
function makeFile(file, mib) {
  const descriptor = fs.openSync(file, 'w');
  const chunk = Buffer.allocUnsafeSlow(CHUNK);
  let hash = Buffer.alloc(32);

  for (let written = 0; written < mib * MIB; written += CHUNK) {
    randomFillSync(chunk);
    fs.writeSync(descriptor, chunk);
    hash = createHash('sha256').update(hash).update(chunk).digest();
  }
  fs.closeSync(descriptor);
  return hash.toString('hex');
}

/** Runs in the page. Returns its offer, and makes `connect()` and `received()`. */
async function receive() {
  const connection = new RTCPeerConnection();
  const channel = connection.createDataChannel('', { negotiated: true, id: 0 });
  const open = new Promise((resolve) => (channel.onopen = resolve));
  let messages = 0;
  let hash = Promise.resolve(new ArrayBuffer(32));

  channel.binaryType = 'arraybuffer';
  channel.onmessage = ({ data }) => {
    messages++;
    hash = hash.then(async (before) => {
      const both = await new Blob([before, data]).arrayBuffer();

      return crypto.subtle.digest('SHA-256', both);
    });
  };
  Object.assign(globalThis, {
    /** @param {string} sdp */
    async connect(sdp) {
      await connection.setRemoteDescription({ type: 'answer', sdp });
      await open;
    },

    async received() {
      const bytes = [...new Uint8Array(await hash)];

      return { messages, hash: bytes.map((byte) => byte.toString(16).padStart(2, '0')).join('') };
    },
  });
  await connection.setLocalDescription();
  return connection.localDescription?.sdp ?? '';
}

/** @param {Awaited<ReturnType<typeof transfer>>} result */
function lineOf({ mib, seconds, kbPerSecond, before, more, received, dropped, equal }) {
  return (
    `${mib} MiB in ${seconds.toFixed(0)} s, ${kbPerSecond.toFixed(0)} kB/s: ` +
    `${received} messages, ${dropped} dropped, the hash is ${equal ? 'equal' : 'another'}; ` +
    `${before.toFixed(0)} MiB before, ${more.toFixed(1)} MiB more at most`
  );
}

/** @param {Awaited<ReturnType<typeof transfer>>} result */
function brokenOf({ dropped, equal, more }) {
  return [
    ...(dropped > 0 ? [`${dropped} messages dropped`] : []),
    ...(equal ? [] : ['the file that arrived differs from the one that was sent']),
    ...(more > MEMORY ? [`${more.toFixed(1)} MiB more than before, the bound is ${MEMORY}`] : []),
  ];
}

module.exports = { main };
