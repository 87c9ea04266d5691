'use strict';

// A chat without a bundler: node examples/starter/server.js, then open the printed address in two tabs.

const { createWorker } = require('datasoup');
const { serve } = require('../offers');
const { answerOf, dtlsParametersOf } = require('../sdp');

async function main(environment) {
  const router = await (await createWorker()).createRouter();
  const direct = await router.createDirectTransport(); // the way into and out of this process
  const toAll = await direct.produceData();

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

  serve(`${__dirname}/index.html`, join, environment);
}

main(process.env);
