'use strict';

// A chat without a bundler: node examples/starter/server.js, then open the printed address in two tabs.

const http = require('node:http');
const { readFileSync } = require('node:fs');
const { createWorker } = require('datasoup');
const { answerOf, dtlsParametersOf } = require('../sdp');

async function main({ HOST = '127.0.0.1', PORT = '3000' }) {
  const router = await (await createWorker()).createRouter();
  const direct = await router.createDirectTransport(); // the way into and out of this process
  const toAll = await direct.produceData();
  const page = readFileSync(`${__dirname}/index.html`);

  /** Connects a tab: channel 0 brings what the tab says, which goes to channel 0 of all tabs. */
  async function join(offer) {
    const tab = await router.createWebRtcTransport({
      listenInfos: [{ protocol: 'udp', ip: '0.0.0.0' }],
      enableSctp: true,
    });
    tab.on('icestatechange', (state) => state === 'disconnected' && tab.close());
    tab.on('sctpstatechange', (state) => state === 'closed' && tab.close());
    setTimeout(() => tab.sctpState === 'connected' || tab.close(), 15_000).unref();
    await tab.connect({ dtlsParameters: dtlsParametersOf(offer) });
    const said = await tab.produceData({ sctpStreamParameters: { streamId: 0 } });
    const inbox = await direct.consumeData({ dataProducerId: said.id });
    inbox.on('message', (message) => toAll.send(message.toString()));
    await tab.consumeData({ dataProducerId: toAll.id, streamId: 0 });
    return answerOf(tab);
  }

  const server = http.createServer(async (request, response) => {
    if (request.method !== 'POST') return void response.end(page);
    try {
      let offer = '';
      for await (const part of request) offer += part.subarray(0, 10_000 - offer.length);
      response.end(await join(offer));
    } catch (error) {
      response.writeHead(400).end(error.message);
    }
  });
  server.listen(+PORT, HOST, () => console.log(`http://${HOST}:${Object(server.address()).port}`));
}

main(process.env);
