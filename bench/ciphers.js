'use strict';

// Finds out which DTLS cipher suite each kind of client negotiates: the clients connect through a relay that reads it
// from the ServerHello, which is in plain text (RFC 5246 §7.4.1.3).

const dgram = require('node:dgram');
const { once } = require('node:events');
const fs = require('node:fs');

const { answerOf, dtlsParametersOf } = require('../examples/sdp');
const { DatachannelClients } = require('./clients/datachannel');
const { LightClients } = require('./clients/light');
const { answerOnce } = require('./processes/runInProcess');

const CHROMIUM = process.env.CHROMIUM_PATH || '/usr/bin/chromium';
const CHROMIUM_FLAGS = ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run'];
/** The time that a client has to connect. */
const PATIENCE_MS = 20_000;

/** Names of IANA's registry. */
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
/** The offset of the session id: after the headers of record and handshake message, the version and the random. */
const SESSION_ID_AT = 13 + 12 + 2 + 32;

/**
 * The suite in a datagram that begins with a ServerHello.
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

/** Relays datagrams between one client and the server. */
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
 * @param {(transport: any) => Promise<() => unknown>} connect - connects a client; returns a function that closes it.
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
    const close = await connect({
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

    await close();
    return suite;
  } catch (error) {
    return `none: ${/** @type {Error} */ (error).message.split('\n')[0]}`;
  } finally {
    clearTimeout(timer);
    transport.close();
    relay.close();
  }
}

/** @param {import('./types').Clients} clients */
function withClients(clients) {
  return async (/** @type {any} */ transport) => {
    const [dtlsParameters] = await clients.dtlsParameters([0]);

    await transport.connect({ dtlsParameters });
    await clients.connectTo([transport]);
    return () => clients.close();
  };
}

/** @param {any} transport */
async function withChromium(transport) {
  const { chromium } = require('playwright-core');
  const browser = await chromium.launch({ executablePath: CHROMIUM, args: CHROMIUM_FLAGS });

  try {
    const page = await browser.newPage();
    // Runs in the page, where `globalThis` is a window.
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

answerOnce(async ({ impl }) => {
  const worker = await require(impl).createWorker();
  const router = await worker.createRouter();
  const suites = {
    libdatachannel: await suiteWith(router, withClients(new DatachannelClients({ count: 1 }))),
    ...(fs.existsSync(CHROMIUM) && { Chromium: await suiteWith(router, withChromium) }),
    ...(process.env.BENCH_CLIENTS && {
      'light clients': await suiteWith(router, withClients(new LightClients())),
    }),
  };

  worker.close();
  return suites;
});
