'use strict';

// Video by mediasoup and data by datasoup, in one application. Both have the same API, so the same code serves both.
//
//                      ┌══ WebRtcTransports ══ mediasoup's Router    video
//   a page, one Device ┤
//                      └══ WebRtcTransports ══ datasoup's Router     data
//
// - A client has two pairs of transports, one of each library: they share neither ICE nor DTLS.
// - Each library has a UDP port of its own: two WebRtcServers cannot share one. Open both in the firewall.
// - The page loads its Device with the rtpCapabilities of mediasoup. Those of datasoup have no codecs, and a transport
//   for data needs none.
// - A Worker of mediasoup is a process, one of datasoup a thread of this process: a supervisor may watch or signal the
//   `pid` of the first, and must leave that of the second alone.
//
// Run node examples/beside-mediasoup/server.js, and open the printed address in two tabs. Without mediasoup, which is
// not installed with this repository, a stub stands in for it and the videos stay black.

const http = require('node:http');

const { WebSocketServer } = require('ws');

const datasoup = require('datasoup');
const { isStub, mediasoup } = require('./mediasoup');
const { buildPage } = require('./page');
const { Peer } = require('./peer');

/** Of both, for a browser on this machine; a server listens on 0.0.0.0 with an `announcedAddress`. */
const IP = '127.0.0.1';
const MAX_MESSAGE_BYTES = 64 * 1024;
const MEDIA_CODECS = [{ kind: 'video', mimeType: 'video/VP8', clockRate: 90_000 }];

/** A Worker, a Router and a WebRtcServer of one of the libraries. */
async function start(library, port, routerOptions = {}) {
  const worker = await library.createWorker();
  const [router, webRtcServer] = await Promise.all([
    worker.createRouter(routerOptions),
    worker.createWebRtcServer({ listenInfos: [{ protocol: 'udp', ip: IP, port }] }),
  ]);
  worker.on('died', (error) => {
    console.error('A worker died:', error);
    process.exit(1);
  });

  return { worker, router, webRtcServer };
}

/** The UDP ports are free ones by default. */
async function main({ HOST = '127.0.0.1', PORT = '3000', VIDEO_PORT = '0', DATA_PORT = '0' }) {
  const [video, data, page] = await Promise.all([
    start(mediasoup, Number(VIDEO_PORT), { mediaCodecs: MEDIA_CODECS }),
    start(datasoup, Number(DATA_PORT)),
    buildPage(),
  ]);
  /** Of all open pages. */
  const peers = new Set();

  const server = http.createServer((request, response) => {
    const file = page.get(request.url);
    if (file) response.setHeader('content-type', file.type).end(file.body);
    else response.writeHead(404).end();
  });
  const sockets = new WebSocketServer({ server, maxPayload: MAX_MESSAGE_BYTES });
  sockets.on('connection', (socket) => {
    const peer = new Peer({ socket, soups: { video, data }, peers, isStub });
    peers.add(peer);
    socket.on('error', () => {});
    socket.on('close', () => peer.close());
  });
  server.listen(Number(PORT), HOST, () => {
    const { port } = /** @type {import('node:net').AddressInfo} */ (server.address());
    console.log(`http://${HOST}:${port}`);
    if (isStub) console.log('mediasoup is not installed: a stub takes its place');
  });

  const stop = () => {
    data.worker.once('subprocessclose', () => process.exit(0));
    // close() is all that either needs. process.kill(data.worker.pid) would end this process.
    video.worker.close();
    data.worker.close();
  };
  process.once('SIGINT', stop);
  process.once('SIGTERM', stop);
}

main(process.env);
