// A chat, whole in this folder, without a bundler: node server.mjs, then open the printed address in two tabs.

import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { text } from 'node:stream/consumers';
import { createWorker } from 'datasoup';

const { HOST = '127.0.0.1', PORT = '3000' } = process.env;
const router = await (await createWorker()).createRouter();
const direct = await router.createDirectTransport(); // the way into and out of this process
const toAll = await direct.produceData();

/** Connects a tab: channel 0 brings what the tab says, which goes to channel 0 of all tabs. */
async function join(offer) {
  const tab = await router.createWebRtcTransport({ listenInfos: [{ protocol: 'udp', ip: '0.0.0.0' }], enableSctp: true });
  tab.on('icestatechange', (state) => state === 'disconnected' && tab.close());
  tab.on('sctpstatechange', (state) => state === 'closed' && tab.close());
  setTimeout(() => tab.sctpState === 'connected' || tab.close(), 15_000).unref();
  const [, value] = /^a=fingerprint:sha-256 (\S+)/m.exec(offer) ?? [];
  await tab.connect({ dtlsParameters: { role: 'client', fingerprints: [{ algorithm: 'sha-256', value }] } });
  const said = await tab.produceData({ sctpStreamParameters: { streamId: 0 } });
  const inbox = await direct.consumeData({ dataProducerId: said.id });
  inbox.on('message', (message) => toAll.send(message.toString()));
  await tab.consumeData({ dataProducerId: toAll.id, streamId: 0 });
  return answerOf(tab);
}

/** The SDP answer to an offer of data channels and nothing else. */
function answerOf({ iceParameters, iceCandidates, dtlsParameters }) {
  const { value } = dtlsParameters.fingerprints.find(({ algorithm }) => algorithm === 'sha-256');
  return [
    'v=0', 'o=- 1 1 IN IP4 0.0.0.0', 's=-', 't=0 0', 'a=ice-lite', 'a=group:BUNDLE 0',
    'm=application 9 UDP/DTLS/SCTP webrtc-datachannel', 'c=IN IP4 0.0.0.0', 'a=mid:0', 'a=sctp-port:5000',
    `a=ice-ufrag:${iceParameters.usernameFragment}`, `a=ice-pwd:${iceParameters.password}`,
    ...iceCandidates.map((it) => `a=candidate:${it.foundation} 1 udp ${it.priority} ${it.address} ${it.port} typ host`),
    `a=fingerprint:sha-256 ${value}`, 'a=setup:passive', 'a=max-message-size:262144', '',
  ].join('\r\n');
}

const server = createServer((request, response) => {
  if (request.method !== 'POST') return response.end(readFileSync(new URL('index.html', import.meta.url)));
  const isShort = Number(request.headers['content-length']) < 10_000;
  const answer = isShort ? text(request).then(join) : Promise.reject(Error('the offer is too long'));
  return answer.then((sdp) => response.end(sdp), (error) => response.writeHead(400).end(error.message));
});
server.listen(Number(PORT), HOST, () => console.log(`http://${HOST}:${Object(server.address()).port}`));
