/** mediasoup's fields of media in the answers of transports. A transport of datasoup carries no media. */

export const MEDIA_OF_DUMP = {
  producerIds: [],
  consumerIds: [],
  mapSsrcConsumerId: [],
  mapRtxSsrcConsumerId: [],
  recvRtpHeaderExtensions: {},
  rtpListener: { ssrcTable: [], midTable: [], ridTable: [] },
  traceEventTypes: [],
};

export const MEDIA_OF_STATS = {
  rtpBytesReceived: 0,
  rtpRecvBitrate: 0,
  rtpBytesSent: 0,
  rtpSendBitrate: 0,
  rtxBytesReceived: 0,
  rtxRecvBitrate: 0,
  rtxBytesSent: 0,
  rtxSendBitrate: 0,
  probationBytesSent: 0,
  probationSendBitrate: 0,
};
