'use strict';

// The HTTP server of examples: it serves a page, and answers the SDP offers that the page posts.

const { readFileSync } = require('node:fs');
const http = require('node:http');

const MAX_OFFER_BYTES = 10_000;

/**
 * Serves until the process ends, and prints the address.
 *
 * @param {string} page - the file with the page.
 * @param {(offer: string) => Promise<string>} join - connects a client, and returns the SDP answer.
 * @param {{ HOST?: string, PORT?: string }} environment
 */
function serve(page, join, { HOST = '127.0.0.1', PORT = '3000' }) {
  const html = readFileSync(page);

  const server = http.createServer(async (request, response) => {
    if (request.method !== 'POST') {
      response.setHeader('content-type', 'text/html; charset=utf-8').end(html);
      return;
    }
    try {
      let offer = '';
      for await (const part of request) {
        offer += part;
        if (offer.length > MAX_OFFER_BYTES) throw new Error('the offer is too long');
      }
      response.end(await join(offer));
    } catch (error) {
      response.writeHead(400).end(error.message);
    }
  });
  server.listen(Number(PORT), HOST, () => {
    const { port } = /** @type {import('node:net').AddressInfo} */ (server.address());

    console.log(`http://${HOST}:${port}`);
  });
}

exports.serve = serve;
