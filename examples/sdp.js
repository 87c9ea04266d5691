'use strict';

// SDP for WebRTC clients without mediasoup-client: a page that uses RTCPeerConnection itself, or node-datachannel.
// Copy this file: it needs nothing but what the application signals anyway, the parameters of a WebRtcTransport.

/**
 * @typedef {import('datasoup').types.WebRtcTransport} WebRtcTransport
 * @typedef {Pick<WebRtcTransport, 'iceParameters' | 'iceCandidates' | 'dtlsParameters' | 'sctpParameters'>} Parameters
 */

/**
 * The answer of a WebRtcTransport to an offer with one section, which is for data channels.
 *
 * @param {Parameters} parameters - the transport, or its parameters as JSON brought them.
 * @param {'client' | 'server'} [role] - the DTLS role of the client.
 * @returns {string}
 */
function answerOf(
  { iceParameters, iceCandidates, dtlsParameters, sctpParameters },
  role = 'client',
) {
  const fingerprint = dtlsParameters.fingerprints.find(({ algorithm }) => algorithm === 'sha-256');

  return [
    'v=0',
    'o=- 1 1 IN IP4 0.0.0.0',
    's=-',
    't=0 0',
    'a=ice-lite',
    'a=group:BUNDLE 0',
    'm=application 9 UDP/DTLS/SCTP webrtc-datachannel',
    'c=IN IP4 0.0.0.0',
    'a=mid:0',
    `a=ice-ufrag:${iceParameters.usernameFragment}`,
    `a=ice-pwd:${iceParameters.password}`,
    `a=fingerprint:sha-256 ${fingerprint?.value}`,
    `a=setup:${role === 'client' ? 'passive' : 'active'}`,
    `a=sctp-port:${sctpParameters?.port ?? 5000}`,
    `a=max-message-size:${sctpParameters?.maxReceiveMessageSize ?? 262_144}`,
    ...iceCandidates.map(
      ({ foundation, protocol, priority, address, port, type, tcpType }) =>
        `a=candidate:${foundation} 1 ${protocol} ${priority} ${address} ${port} typ ${type}` +
        (tcpType ? ` tcptype ${tcpType}` : ''),
    ),
    'a=end-of-candidates',
    '',
  ].join('\r\n');
}

/**
 * What `connect()` of a WebRtcTransport takes, from a client's offer. The role is the one that `answerOf()` gives the
 * client.
 *
 * @param {string} offer
 * @param {'client' | 'server'} [role]
 * @returns {import('datasoup').types.DtlsParameters}
 */
function dtlsParametersOf(offer, role = 'client') {
  const [, algorithm, value] = /^a=fingerprint:(\S+) (\S+)/m.exec(offer) ?? [];
  if (!value) throw new TypeError('the offer has no fingerprint');

  return {
    role,
    fingerprints: [
      {
        algorithm: /** @type {import('datasoup').types.FingerprintAlgorithm} */ (algorithm),
        value,
      },
    ],
  };
}

module.exports = { answerOf, dtlsParametersOf };
