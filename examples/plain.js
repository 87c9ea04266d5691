'use strict';

// PlainTransport: SCTP over plain UDP, here with another implementation (werift-sctp) as the peer. With `comedia` the
// transport learns the peer's address from its first packet.

const dgram = require('node:dgram');
const { once } = require('node:events');

const { createWorker } = require('datasoup');
const { SCTP, createUdpTransport } = require('werift-sctp');

const STRING = 51;

async function main() {
  const worker = await createWorker();
  const router = await worker.createRouter();
  const plainTransport = await router.createPlainTransport({
    listenInfo: { protocol: 'udp', ip: '127.0.0.1' },
    enableSctp: true,
    comedia: true,
  });

  plainTransport.on('tuple', ({ remoteIp }) => console.log(`the peer is at ${remoteIp}`));

  // Messages of the peer on stream 7 go to the application…
  const directTransport = await router.createDirectTransport();
  const { id } = await plainTransport.produceData({ sctpStreamParameters: { streamId: 7 } });
  const fromPeer = await directTransport.consumeData({ dataProducerId: id });
  // …and messages of the application go to the peer.
  const toPeer = await directTransport.produceData();
  const { sctpStreamParameters } = await plainTransport.consumeData({ dataProducerId: toPeer.id });

  fromPeer.on('message', (message) => {
    console.log(`from the peer: ${message}`);
    toPeer.send(`you said: ${message}`);
  });

  const socket = dgram.createSocket('udp4').bind(0, '127.0.0.1');

  await once(socket, 'listening');

  const { localAddress, localPort } = plainTransport.tuple;
  const peer = SCTP.client(createUdpTransport(socket, { address: localAddress, port: localPort }));

  peer.onReceive.subscribe(async (streamId, ppid, message) => {
    console.log(`to the peer on stream ${streamId}: ${message}`);
    console.assert(streamId === sctpStreamParameters.streamId && ppid === STRING);
    await peer.stop();
    socket.close();
    worker.close();
  });
  await peer.start(5000);
  await peer.stateChanged.connected.asPromise();
  await peer.send(7, STRING, Buffer.from('hello'));
}

main();
