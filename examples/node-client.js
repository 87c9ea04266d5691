'use strict';

// A WebRTC client in Node.js (node-datachannel), for a bot, a load test or the tests of your server. `connectClient()`
// is for reuse.
//
//   node examples/node-client.js [URL]   talks to starter/ at that URL, or starts one

const { fork } = require('node:child_process');
const { once } = require('node:events');
const path = require('node:path');

const { PeerConnection, cleanup } = require('node-datachannel');

const STARTER = path.join(__dirname, 'starter/server.mjs');

/**
 * Connects a client and resolves with its channels, once they are open.
 *
 * @param {(offer: string) => Promise<string>} signal - brings the SDP offer to the server, and its answer back. If your
 * server signals parameters as mediasoup-client takes them, both are made of them by sdp.js, as webrtc.js shows.
 * @param {object[]} inits - of each channel: `id`, and `unordered`, `maxRetransmits` or `maxPacketLifeTime`.
 */
async function connectClient(signal, inits) {
  const client = new PeerConnection('client', { iceServers: [] });
  const failed = new Promise((_resolve, reject) => {
    client.onStateChange((state) => {
      if (state === 'failed') reject(new Error('the client could not connect'));
    });
  });
  const offer = new Promise((resolve) => client.onLocalDescription(resolve));
  const channels = inits.map((init) => client.createDataChannel('', { negotiated: true, ...init }));
  const open = channels.map(
    (channel) => new Promise((resolve) => channel.onOpen(() => resolve(undefined))),
  );

  try {
    client.setRemoteDescription(await signal(await offer), 'answer');
    await Promise.race([Promise.all(open), failed]);
  } catch (error) {
    client.close();
    throw error;
  }

  return { client, channels };
}

/** The way to starter/ and game/, which take the offer and return the answer over HTTP. */
const signalOver = (url) => async (offer) => {
  const response = await fetch(new URL('/offer', url), { method: 'POST', body: offer });
  const text = await response.text();
  if (!response.ok) throw new Error(`${url} answers: ${text}`);

  return text;
};

async function main(url) {
  const env = { ...process.env, PORT: '0' };
  const server = url ? undefined : fork(STARTER, { env, silent: true });
  try {
    const address = url ?? String((await once(server.stdout, 'data'))[0]).trim();
    const { client, channels } = await connectClient(signalOver(address), [{ id: 0 }]);
    const [chat] = channels;
    const message = new Promise((resolve) => chat.onMessage(resolve));

    chat.sendMessage('hello from Node.js');
    console.log(`received: ${await message}`);
    client.close();
  } finally {
    cleanup();
    server?.kill();
  }
}

module.exports = { connectClient, signalOver };

if (require.main === module) main(process.argv[2]);
