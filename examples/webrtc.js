'use strict';

// WebRtcTransport: a WebRTC client sends messages to the application and gets answers. Here the client is
// node-datachannel; in a browser, use mediasoup-client (see demo/).

const { createWorker } = require('datasoup');
const { PeerConnection, cleanup } = require('node-datachannel');

const { answerOf } = require('./sdp');

async function main() {
  const worker = await createWorker();
  const router = await worker.createRouter();
  const transport = await router.createWebRtcTransport({
    listenInfos: [{ protocol: 'udp', ip: '127.0.0.1' }],
    enableSctp: true,
  });

  transport.on('iceselectedtuplechange', ({ protocol }) => console.log(`ICE: ${protocol}`));
  transport.on('dtlsstatechange', (state) => console.log(`DTLS: ${state}`));
  transport.on('sctpstatechange', (state) => {
    console.log(`SCTP: ${state}`);
    if (state === 'closed') {
      worker.close();
      cleanup();
    }
  });

  // The application receives from and sends to the client's channel with id 0.
  const directTransport = await router.createDirectTransport();
  const up = await transport.produceData({ sctpStreamParameters: { streamId: 0 } });
  const fromClient = await directTransport.consumeData({ dataProducerId: up.id });
  const down = await directTransport.produceData();

  await transport.consumeData({ dataProducerId: down.id, streamId: 0 });
  fromClient.on('message', (message) => down.send(`you said: ${message}`));

  const client = new PeerConnection('client', { iceServers: [] });

  client.onLocalDescription(async (offer) => {
    const [, value] = /a=fingerprint:sha-256 (\S+)/.exec(offer);

    await transport.connect({
      dtlsParameters: { role: 'client', fingerprints: [{ algorithm: 'sha-256', value }] },
    });
    client.setRemoteDescription(answerOf(transport), 'answer');
  });

  const channel = client.createDataChannel('chat', { negotiated: true, id: 0 });

  channel.onOpen(() => channel.sendMessage('hello'));
  channel.onMessage((message) => {
    console.log(`client: ${message}`);
    client.close();
  });
}

main();
