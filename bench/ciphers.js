'use strict';

// Which DTLS cipher suite each kind of client gets. Nobody tells, but the ServerHello says it in plain text (RFC 5246
// §7.4.1.3), so the clients connect by way of a relay that reads along.

const dgram = require('node:dgram');
const { once } = require('node:events');
const fs = require('node:fs');

const { LightPeers } = require('./lightPeers');
const { Peers, answerOf, dtlsParametersOf } = require('./peers');

const CHROMIUM = process.env.CHROMIUM_PATH || '/usr/bin/chromium';
const CHROMIUM_FLAGS = ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run'];
/** A client that has not connected by then shows no suite. */
const PATIENCE_MS = 20_000;

/** IANA's names. */
const SUITES = new Map([
  [0x1301, 'TLS_AES_128_GCM_SHA256'],
  [0x1302, 'TLS_AES_256_GCM_SHA384'],
  [0x1303, 'TLS_CHACHA20_POLY1305_SHA256'],
  [0xc009, 'ECDHE_ECDSA_AES_128_CBC_SHA'],
  [0xc00a, 'ECDHE_ECDSA_AES_256_CBC_SHA'],
  [0xc02b, 'ECDHE_ECDSA_AES_128_GCM_SHA256'],
  [0xc02c, 'ECDHE_ECDSA_AES_256_GCM_SHA384'],
  [0xc02f, 'ECDHE_RSA_AES_128_GCM_SHA256'],
  [0xc030, 'ECDHE_RSA_AES_256_GCM_SHA384'],
  [0xcca8, 'ECDHE_RSA_CHACHA20_POLY1305'],
  [0xcca9, 'ECDHE_ECDSA_CHACHA20_POLY1305'],
]);

const HANDSHAKE = 22;
const SERVER_HELLO = 2;
/** The record's header, the handshake message's, the version and the random. */
const SESSION_ID_AT = 13 + 12 + 2 + 32;

/**
 * The suite that a datagram chooses, if it begins with a ServerHello.
 *
 * @param {Buffer} datagram
 */
function suiteOf(datagram) {
  if (datagram[0] !== HANDSHAKE || datagram[13] !== SERVER_HELLO) {
    return undefined;
  }

  const suite = datagram.readUInt16BE(SESSION_ID_AT + 1 + datagram[SESSION_ID_AT]);

  return SUITES.get(suite) ?? `0x${suite.toString(16).padStart(4, '0')}`;
}

/** Stands between one client and the server. */
class Relay {
  #outside = dgram.createSocket('udp4');
  #inside = dgram.createSocket('udp4');
  /** @type {Promise<string>} */
  suite;

  /** @param {{ port: number, ip?: string, address?: string }} server */
  constructor({ port, ip, address = ip }) {
    /** @type {import('node:dgram').RemoteInfo | undefined} */
    let client;

    this.#outside.on('message', (datagram, from) => {
      client = from;
      this.#inside.send(datagram, port, address);
    });
    this.suite = new Promise((resolve) => {
      this.#inside.on('message', (datagram) => {
        const suite = suiteOf(datagram);

        if (client) {
          this.#outside.send(datagram, client.port, client.address);
        }
        if (suite) {
          resolve(suite);
        }
      });
    });
  }

  async listen() {
    this.#outside.bind(0, '127.0.0.1');
    await once(this.#outside, 'listening');
    return this.#outside.address().port;
  }

  close() {
    this.#outside.close();
    this.#inside.close();
  }
}

/**
 * @param {any} router
 * @param {(transport: any) => Promise<() => unknown>} connect - connects a client and answers how to end it.
 */
async function suiteWith(router, connect) {
  const transport = await router.createWebRtcTransport({
    listenInfos: [{ protocol: 'udp', ip: '127.0.0.1' }],
    enableSctp: true,
  });
  const [candidate] = transport.iceCandidates;
  const relay = new Relay(candidate);
  const port = await relay.listen();
  const { iceParameters, dtlsParameters, sctpParameters } = transport;
  /** @type {NodeJS.Timeout | undefined} */
  let timer;

  try {
    const end = await connect({
      iceParameters,
      dtlsParameters,
      sctpParameters,
      iceCandidates: [{ ...candidate, port }],
      connect: (/** @type {any} */ options) => transport.connect(options),
    });
    const late = new Promise((resolve) => {
      timer = setTimeout(resolve, PATIENCE_MS, 'not connected');
    });
    const suite = await Promise.race([relay.suite, late]);

    await end();
    return suite;
  } catch (error) {
    return `none: ${/** @type {Error} */ (error).message.split('\n')[0]}`;
  } finally {
    clearTimeout(timer);
    transport.close();
    relay.close();
  }
}

/** @param {import('./peers').Peers | import('./lightPeers').LightPeers} peers */
function withPeers(peers) {
  return async (/** @type {any} */ transport) => {
    const [dtlsParameters] = await peers.dtlsParameters([0]);

    await transport.connect({ dtlsParameters });
    await peers.connectTo([transport]);
    return () => peers.close();
  };
}

/** @param {any} transport */
async function withChromium(transport) {
  const { chromium } = require('playwright-core');
  const browser = await chromium.launch({ executablePath: CHROMIUM, args: CHROMIUM_FLAGS });

  try {
    const page = await browser.newPage();
    // In the page, where `globalThis` is a window.
    const offer = await page.evaluate(async () => {
      const window = /** @type {any} */ (globalThis);
      const connection = new window.RTCPeerConnection();

      window.connection = connection;
      connection.createDataChannel('', { negotiated: true, id: 0 });
      await connection.setLocalDescription();
      return connection.localDescription.sdp;
    });

    await transport.connect({ dtlsParameters: dtlsParametersOf(offer) });
    await page.evaluate(
      (/** @type {string} */ sdp) =>
        /** @type {any} */ (globalThis).connection.setRemoteDescription({ type: 'answer', sdp }),
      answerOf(transport),
    );
    return () => browser.close();
  } catch (error) {
    await browser.close();
    throw error;
  }
}

process.once('message', async (/** @type {{ impl: string }} */ { impl }) => {
  const worker = await require(impl).createWorker();
  const router = await worker.createRouter();
  const suites = {
    libdatachannel: await suiteWith(router, withPeers(new Peers({ count: 1 }))),
    ...(fs.existsSync(CHROMIUM) && { Chromium: await suiteWith(router, withChromium) }),
    ...(process.env.BENCH_CLIENTS && {
      'light clients': await suiteWith(router, withPeers(new LightPeers())),
    }),
  };

  worker.close();
  process.send?.(suites, () => process.exit());
});
