'use strict';

// What serves a page and its media path: the HTTP server, and the WebRtcServer with one UDP port for all browsers.

const { once } = require('node:events');
const http = require('node:http');

const { addressesFor } = require('./config');
const { servePage } = require('./page');

/** Starts the HTTP server. `page`: see buildPage(). */
async function startHttp(config, page) {
  const server = http.createServer((request, response) => servePage(page, request, response));
  server.listen(config.port, config.host);
  await once(server, 'listening');
  return server;
}

function createWebRtcServer(config, worker) {
  return worker.createWebRtcServer({
    listenInfos: addressesFor(config).map((address) => ({
      protocol: 'udp',
      ...address,
      // The same number as HTTP, so that there is one port to remember. With 0 the worker picks one.
      ...(config.rtcPort > 0 && { port: config.rtcPort }),
    })),
  });
}

module.exports = { createWebRtcServer, startHttp };
