'use strict';

// The SDP answer of a WebRtcTransport, for an offer with one data channel section from a client that is to be the DTLS
// client.

function answerOf({ iceParameters, iceCandidates, dtlsParameters, sctpParameters }) {
  const [{ foundation, priority, address, port }] = iceCandidates;
  const { value } = dtlsParameters.fingerprints.find(({ algorithm }) => algorithm === 'sha-256');

  return `v=0
o=- 1 1 IN IP4 0.0.0.0
s=-
t=0 0
a=ice-lite
m=application 9 UDP/DTLS/SCTP webrtc-datachannel
c=IN IP4 0.0.0.0
a=mid:0
a=ice-ufrag:${iceParameters.usernameFragment}
a=ice-pwd:${iceParameters.password}
a=fingerprint:sha-256 ${value}
a=setup:passive
a=sctp-port:${sctpParameters.port}
a=max-message-size:${sctpParameters.maxMessageSize}
a=candidate:${foundation} 1 udp ${priority} ${address} ${port} typ host
`;
}

exports.answerOf = answerOf;
