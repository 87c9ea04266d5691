'use strict';

// Data channels opened in band (RFC 8832), without agreed stream ids: as with `createDataChannel()` and `ondatachannel`
// in a page without mediasoup-client. The client here is node-datachannel.

const { createWorker } = require('datasoup');
const { PeerConnection, cleanup } = require('node-datachannel');

const { answerOf, dtlsParametersOf } = require('./sdp');

async function main() {
  const worker = await createWorker();
  const router = await worker.createRouter();
  const direct = await router.createDirectTransport();
  const transport = await router.createWebRtcTransport({
    listenInfos: [{ protocol: 'udp', ip: '127.0.0.1' }],
    enableSctp: true,
  });

  // A client has opened a channel. Messages that it sends at once wait for the DataProducer and its DataConsumers.
  transport.on('datachannel', async ({ streamId, label, protocol }) => {
    console.log(`the client opens ${label} (${protocol})`);
    const up = await transport.produceData({
      sctpStreamParameters: { streamId },
      paused: true,
      whilePaused: 'hold',
    });
    const inbox = await direct.consumeData({ dataProducerId: up.id });

    inbox.on('message', (message) => {
      console.log(`from the client: ${message}`);
      if (message.toString() === 'bye') openNews();
    });
    await up.resume();
  });

  // The other way round: the server opens a channel, and the client gets an event.
  async function openNews() {
    const news = await direct.produceData({ label: 'news', protocol: 'text' });

    await transport.consumeData({ dataProducerId: news.id, negotiated: false });
    news.send('hello');
  }

  const client = new PeerConnection('client', { iceServers: [] });
  const offer = new Promise((resolve) => client.onLocalDescription(resolve));
  const chat = client.createDataChannel('chat', { protocol: 'text' });

  chat.onOpen(() => ['hi', 'bye'].forEach((text) => chat.sendMessage(text)));
  client.onDataChannel((channel) => {
    console.log(`the server opens ${channel.getLabel()} (${channel.getProtocol()})`);
    channel.onMessage((message) => {
      console.log(`from the server: ${message}`);
      client.close();
      worker.close();
      cleanup();
    });
  });

  await transport.connect({ dtlsParameters: dtlsParametersOf(await offer) });
  client.setRemoteDescription(answerOf(transport), 'answer');
}

main();
