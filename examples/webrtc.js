'use strict';

// WebRtcTransport: a WebRTC client sends messages to the application and gets answers. Here the client is
// node-datachannel; in a browser, use mediasoup-client (see demo/), or RTCPeerConnection alone (see starter/).

const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');

const { createWorker } = require('datasoup');
const { cleanup } = require('node-datachannel');

const { connectClient } = require('./node-client');
const { answerOf, dtlsParametersOf } = require('./sdp');

async function main() {
  const worker = await createWorker();
  const router = await worker.createRouter();
  const transport = await router.createWebRtcTransport({
    listenInfos: [{ protocol: 'udp', ip: '127.0.0.1' }],
    enableSctp: true,
  });

  // For Wireshark: all packets of the client, decrypted, so no other user may read them.
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'datasoup-'));
  const file = path.join(folder, 'webrtc.pcapng');
  const capture = await transport.capture(fs.createWriteStream(file));

  transport.on('iceselectedtuplechange', ({ protocol }) => console.log(`ICE: ${protocol}`));
  transport.on('dtlsstatechange', (state, error) => console.log(`DTLS: ${state}${reason(error)}`));
  transport.on('sctpstatechange', (state, error) => {
    console.log(`SCTP: ${state}${reason(error)}`);
    if (state === 'closed') {
      console.log(`${capture.packetsDropped} packets are missing in ${path.basename(file)}`);
      fs.rmSync(folder, { recursive: true });
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

  // Client and server are one process, so that the parameters need no signalling.
  const { client, channels } = await connectClient(
    async (offer) => {
      await transport.connect({ dtlsParameters: dtlsParametersOf(offer) });
      return answerOf(transport);
    },
    [{ id: 0 }],
  );

  channels[0].onMessage((message) => {
    console.log(`client: ${message}`);
    client.close();
  });
  channels[0].sendMessage('hello');
}

/** Why a state came that ends something. */
function reason(error) {
  return error ? ` (${error.code})` : '';
}

main();
