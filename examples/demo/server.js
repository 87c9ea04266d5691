'use strict';

// The server of the demo: a Worker (a thread in Rust) with a WebRtcServer (one UDP port for all browsers), an HTTP
// server for the page, and a WebSocket for signalling. Everything else, from chat to statistics, goes through datasoup.
//
//   page ── WebSocket ──▶ signalling.js ──▶ Peer ─┐
//   page ══ DataChannel ═▶ WebRtcTransport ══▶ Router ══▶ WebRtcTransport ══▶ the other pages
//                                                 ╚═════▶ DirectTransport ══▶ bot.js

const { WebSocketServer } = require('ws');

const datasoup = require('../..');
const { readConfig, urlsFor } = require('./server/config');
const { buildPage } = require('./server/page');
const { Rooms } = require('./server/rooms');
const { handleSocket, MAX_MESSAGE_BYTES } = require('./server/signalling');
const { createWebRtcServer, startHttp } = require('./server/start');

async function main() {
  const config = readConfig(process.env);
  const [page, worker] = await Promise.all([buildPage(), datasoup.createWorker()]);

  worker.on('died', (error) => {
    console.error('The worker died:', error);
    process.exit(1);
  });

  const server = await startHttp(config, page);
  const webRtcServer = await createWebRtcServer(config, worker);
  const rooms = new Rooms({ worker, webRtcServer });
  const sockets = new WebSocketServer({ server, maxPayload: MAX_MESSAGE_BYTES });
  sockets.on('connection', (socket) => handleSocket(socket, rooms));

  const { port } = /** @type {import('node:net').AddressInfo} */ (server.address());
  const { local, network } = urlsFor(config, port);
  console.log('\n  datasoup demo\n');
  console.log(`  Local    ${local}`);
  for (const url of network) console.log(`  Network  ${url}`);
  console.log('\n  Open it in two tabs. Ctrl+C stops.\n');

  // The worker closes its connections before its thread ends.
  const stop = () => {
    worker.once('subprocessclose', () => process.exit(0));
    worker.close();
  };
  process.once('SIGINT', stop);
  process.once('SIGTERM', stop);
}

main().catch((error) => {
  console.error(`The demo could not start: ${error.message}`);
  process.exit(1);
});
