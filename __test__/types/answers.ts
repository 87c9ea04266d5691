// Made by contract.test.ts of tests/contract/answers/.

import type { types } from '../..';
import type * as answers from '../../lib/answers';

export const CreatedAnswer0: answers.CreatedAnswer = {
  "id": "00000000-0000-0000-0000-000000000000"
};

export const DataChannelInfo0: types.WebRtcTransportEvents['datachannel'][0] = {
  "label": "label",
  "ordered": true,
  "protocol": "protocol",
  "streamId": 4
};

export const DataConsumerDump0: types.DataConsumerDump = {
  "bufferedAmount": 0,
  "bufferedAmountLowThreshold": 1024,
  "dataProducerId": "00000000-0000-0000-0000-000000000000",
  "dataProducerPaused": false,
  "id": "00000000-0000-0000-0000-000000000000",
  "label": "",
  "paused": false,
  "protocol": "",
  "sctpStreamParameters": {
    "maxRetransmits": 3,
    "ordered": false,
    "streamId": 1
  },
  "subchannels": [],
  "type": "sctp"
};

export const DataConsumerDump1: types.DataConsumerDump = {
  "bufferedAmount": 0,
  "bufferedAmountLowThreshold": 0,
  "dataProducerId": "00000000-0000-0000-0000-000000000000",
  "dataProducerPaused": false,
  "id": "00000000-0000-0000-0000-000000000000",
  "label": "",
  "paused": false,
  "protocol": "",
  "subchannels": [],
  "type": "direct"
};

export const DataConsumerStats0: types.DataConsumerStat = {
  "bufferedAmount": 0,
  "bytesDropped": 0,
  "bytesSent": 0,
  "bytesSentDirectly": 0,
  "label": "",
  "messagesDropped": 0,
  "messagesDroppedFull": 0,
  "messagesDroppedReplaced": 0,
  "messagesDroppedStale": 0,
  "messagesDroppedTooLarge": 0,
  "messagesDroppedUnsendable": 0,
  "messagesFiltered": 0,
  "messagesPaused": 0,
  "messagesRejected": 0,
  "messagesSent": 0,
  "messagesSentDirectly": 0,
  "messagesWaiting": 0,
  "protocol": "",
  "timestamp": 0,
  "type": "data-consumer"
};

export const DataConsumerStats1: types.DataConsumerStat = {
  "bufferedAmount": 0,
  "bytesDropped": 0,
  "bytesSent": 0,
  "bytesSentDirectly": 0,
  "label": "",
  "messagesDropped": 0,
  "messagesDroppedFull": 0,
  "messagesDroppedReplaced": 0,
  "messagesDroppedStale": 0,
  "messagesDroppedTooLarge": 0,
  "messagesDroppedUnsendable": 0,
  "messagesFiltered": 0,
  "messagesPaused": 0,
  "messagesRejected": 0,
  "messagesSent": 0,
  "messagesSentDirectly": 0,
  "messagesWaiting": 0,
  "protocol": "",
  "timestamp": 0,
  "type": "data-consumer"
};

export const DataProducerDump0: types.DataProducerDump = {
  "id": "00000000-0000-0000-0000-000000000000",
  "label": "",
  "paused": false,
  "protocol": "",
  "sctpStreamParameters": {
    "ordered": true,
    "streamId": 0
  },
  "type": "sctp"
};

export const DataProducerDump1: types.DataProducerDump = {
  "id": "00000000-0000-0000-0000-000000000000",
  "label": "",
  "paused": false,
  "protocol": "",
  "type": "direct"
};

export const DataProducerStats0: types.DataProducerStat = {
  "bytesLimited": 0,
  "bytesReceived": 0,
  "bytesRetained": 0,
  "label": "",
  "messagesDroppedFull": 0,
  "messagesLimited": 0,
  "messagesPaused": 0,
  "messagesReceived": 0,
  "messagesRetained": 0,
  "messagesWaiting": 0,
  "protocol": "",
  "timestamp": 0,
  "type": "data-producer"
};

export const DataProducerStats1: types.DataProducerStat = {
  "bytesLimited": 0,
  "bytesReceived": 0,
  "bytesRetained": 0,
  "label": "",
  "messagesDroppedFull": 0,
  "messagesLimited": 0,
  "messagesPaused": 0,
  "messagesReceived": 0,
  "messagesRetained": 0,
  "messagesWaiting": 0,
  "protocol": "",
  "timestamp": 0,
  "type": "data-producer"
};

export const Diagnosis0: types.TransportDiagnosis = {
  "findings": [],
  "state": {
    "datagramsDropped": 0,
    "dtls": {
      "datagrams": 0,
      "recordsDropped": 0
    },
    "dtlsState": "connected",
    "iceState": "completed",
    "sctp": {
      "messagesUnrouted": 0,
      "packets": 0
    },
    "sctpState": "connected",
    "stun": {
      "malformed": 0,
      "overQuota": 0,
      "received": 0,
      "roleConflict": 0,
      "valid": 0,
      "validFrom": "192.0.2.1:20001",
      "wrongIntegrity": 0,
      "wrongUsername": 0
    }
  }
};

export const Diagnosis1: types.TransportDiagnosis = {
  "findings": [
    {
      "code": "no-stun-received",
      "hint": "the peer cannot reach udp 10.0.0.1:10002: a firewall or a container may block UDP, or that is not the address under which the peer sees this host. Open the port, or correct announcedAddress; a listenInfo with protocol 'tcp' adds a way past firewalls that block UDP. A peer that has not got iceParameters and iceCandidates of this transport sends nothing",
      "message": "no STUN request has arrived at udp 10.0.0.1:10002"
    }
  ],
  "state": {
    "datagramsDropped": 0,
    "dtls": {
      "datagrams": 0,
      "recordsDropped": 0
    },
    "dtlsState": "new",
    "iceState": "new",
    "stun": {
      "malformed": 0,
      "overQuota": 0,
      "received": 0,
      "roleConflict": 0,
      "valid": 0,
      "wrongIntegrity": 0,
      "wrongUsername": 0
    }
  }
};

export const Diagnosis2: types.TransportDiagnosis = {
  "findings": [
    {
      "code": "nothing-to-carry",
      "hint": "call produceData() or consumeData() on the transport",
      "message": "there is no DataProducer or DataConsumer, so the association has not begun"
    }
  ],
  "state": {
    "datagramsDropped": 0,
    "sctp": {
      "messagesUnrouted": 0,
      "packets": 0
    },
    "sctpState": "new"
  }
};

export const Diagnosis3: types.TransportDiagnosis = {
  "findings": [],
  "state": {
    "datagramsDropped": 0
  }
};

export const Diagnosis4: types.TransportDiagnosis = {
  "findings": [
    {
      "code": "no-dtls-answer",
      "hint": "check that the peer listens at that address, that a firewall lets UDP pass both ways, and that the peer sends to this port",
      "message": "nothing has arrived at udp 10.0.0.1:10005 from 192.0.2.1:20003"
    }
  ],
  "state": {
    "datagramsDropped": 0,
    "dtls": {
      "datagrams": 0,
      "recordsDropped": 0
    },
    "dtlsState": "connecting",
    "sctp": {
      "messagesUnrouted": 0,
      "packets": 0
    },
    "sctpState": "new"
  }
};

export const Diagnosis5: types.TransportDiagnosis = {
  "findings": [],
  "state": {
    "datagramsDropped": 0
  }
};

export const DropCount0: types.DataConsumerEvents['overflow'][0] = {
  "bytes": 2,
  "messages": 1
};

export const IceParameters0: types.IceParameters = {
  "iceLite": true,
  "password": "secret",
  "usernameFragment": "secret"
};

export const NegotiatedStreams0: types.SctpNegotiatedCapabilities = {
  "negotiatedMaxInboundStreams": 65535,
  "negotiatedMaxOutboundStreams": 65535
};

export const RouterDump0: types.RouterDump = {
  "id": "00000000-0000-0000-0000-000000000000",
  "mapConsumerIdProducerId": [],
  "mapDataConsumerIdDataProducerId": [
    {
      "key": "00000000-0000-0000-0000-000000000000",
      "value": "hash or id"
    },
    {
      "key": "00000000-0000-0000-0000-000000000000",
      "value": "hash or id"
    }
  ],
  "mapDataProducerIdDataConsumerIds": [
    {
      "key": "00000000-0000-0000-0000-000000000000",
      "values": [
        "00000000-0000-0000-0000-000000000000"
      ]
    },
    {
      "key": "00000000-0000-0000-0000-000000000000",
      "values": [
        "00000000-0000-0000-0000-000000000000"
      ]
    }
  ],
  "mapProducerIdConsumerIds": [],
  "mapProducerIdObserverIds": [],
  "rtpObserverIds": [],
  "transportIds": [
    "00000000-0000-0000-0000-000000000000",
    "00000000-0000-0000-0000-000000000000",
    "00000000-0000-0000-0000-000000000000",
    "00000000-0000-0000-0000-000000000000",
    "00000000-0000-0000-0000-000000000000",
    "00000000-0000-0000-0000-000000000000"
  ]
};

export const TransportDump0: types.WebRtcTransportDump = {
  "consumerIds": [],
  "dataConsumerIds": [
    "00000000-0000-0000-0000-000000000000"
  ],
  "dataProducerIds": [
    "00000000-0000-0000-0000-000000000000"
  ],
  "dtlsParameters": {
    "fingerprints": [
      {
        "algorithm": "sha-1",
        "value": "hash or id"
      },
      {
        "algorithm": "sha-224",
        "value": "hash or id"
      },
      {
        "algorithm": "sha-256",
        "value": "hash or id"
      },
      {
        "algorithm": "sha-384",
        "value": "hash or id"
      },
      {
        "algorithm": "sha-512",
        "value": "hash or id"
      }
    ],
    "role": "server"
  },
  "dtlsState": "connected",
  "iceCandidates": [
    {
      "address": "10.0.0.1",
      "foundation": "udpcandidate",
      "ip": "10.0.0.1",
      "port": 10001,
      "priority": 1076302079,
      "protocol": "udp",
      "type": "host"
    }
  ],
  "iceParameters": {
    "iceLite": true,
    "password": "secret",
    "usernameFragment": "secret"
  },
  "iceRole": "controlled",
  "iceSelectedTuple": {
    "localAddress": "10.0.0.1",
    "localIp": "10.0.0.1",
    "localPort": 10001,
    "protocol": "udp",
    "remoteIp": "192.0.2.1",
    "remotePort": 20001
  },
  "iceState": "completed",
  "id": "00000000-0000-0000-0000-000000000000",
  "mapRtxSsrcConsumerId": [],
  "mapSsrcConsumerId": [],
  "maxReceiveMessageSize": 262144,
  "maxSendMessageSize": 262144,
  "producerIds": [],
  "recvRtpHeaderExtensions": {},
  "rtpListener": {
    "midTable": [],
    "ridTable": [],
    "ssrcTable": []
  },
  "sctpListener": {
    "streamIdTable": [
      {
        "key": 0,
        "value": "hash or id"
      }
    ]
  },
  "sctpNegotiatedCapabilities": {
    "negotiatedMaxInboundStreams": 65535,
    "negotiatedMaxOutboundStreams": 65535
  },
  "sctpParameters": {
    "MIS": 65535,
    "OS": 65535,
    "isDataChannel": true,
    "maxMessageSize": 262144,
    "maxReceiveMessageSize": 262144,
    "maxReceiverWindowBufferSize": 1048576,
    "maxSendMessageSize": 262144,
    "perStreamSendQueueLimit": 2000000,
    "port": 5000,
    "sendBufferSize": 2000000
  },
  "sctpState": "connected",
  "traceEventTypes": []
};

export const TransportDump1: types.WebRtcTransportDump = {
  "consumerIds": [],
  "dataConsumerIds": [],
  "dataProducerIds": [],
  "dtlsParameters": {
    "fingerprints": [
      {
        "algorithm": "sha-1",
        "value": "hash or id"
      },
      {
        "algorithm": "sha-224",
        "value": "hash or id"
      },
      {
        "algorithm": "sha-256",
        "value": "hash or id"
      },
      {
        "algorithm": "sha-384",
        "value": "hash or id"
      },
      {
        "algorithm": "sha-512",
        "value": "hash or id"
      }
    ],
    "role": "server"
  },
  "dtlsState": "new",
  "iceCandidates": [
    {
      "address": "10.0.0.1",
      "foundation": "udpcandidate",
      "ip": "10.0.0.1",
      "port": 10002,
      "priority": 1076302079,
      "protocol": "udp",
      "type": "host"
    }
  ],
  "iceParameters": {
    "iceLite": true,
    "password": "secret",
    "usernameFragment": "secret"
  },
  "iceRole": "controlled",
  "iceState": "new",
  "id": "00000000-0000-0000-0000-000000000000",
  "mapRtxSsrcConsumerId": [],
  "mapSsrcConsumerId": [],
  "maxReceiveMessageSize": 262144,
  "maxSendMessageSize": 262144,
  "producerIds": [],
  "recvRtpHeaderExtensions": {},
  "rtpListener": {
    "midTable": [],
    "ridTable": [],
    "ssrcTable": []
  },
  "traceEventTypes": []
};

export const TransportDump2: types.PlainTransportDump = {
  "comedia": false,
  "consumerIds": [],
  "dataConsumerIds": [],
  "dataProducerIds": [],
  "id": "00000000-0000-0000-0000-000000000000",
  "mapRtxSsrcConsumerId": [],
  "mapSsrcConsumerId": [],
  "maxReceiveMessageSize": 262144,
  "maxSendMessageSize": 262144,
  "producerIds": [],
  "recvRtpHeaderExtensions": {},
  "rtcpMux": true,
  "rtpListener": {
    "midTable": [],
    "ridTable": [],
    "ssrcTable": []
  },
  "sctpListener": {
    "streamIdTable": []
  },
  "sctpNegotiatedCapabilities": {
    "negotiatedMaxInboundStreams": 0,
    "negotiatedMaxOutboundStreams": 0
  },
  "sctpParameters": {
    "MIS": 65535,
    "OS": 65535,
    "isDataChannel": false,
    "maxMessageSize": 262144,
    "maxReceiveMessageSize": 262144,
    "maxReceiverWindowBufferSize": 1048576,
    "maxSendMessageSize": 262144,
    "perStreamSendQueueLimit": 2000000,
    "port": 5000,
    "sendBufferSize": 2000000
  },
  "sctpState": "new",
  "traceEventTypes": [],
  "tuple": {
    "localAddress": "10.0.0.1",
    "localIp": "10.0.0.1",
    "localPort": 10003,
    "protocol": "udp",
    "remoteIp": "192.0.2.1",
    "remotePort": 20003
  }
};

export const TransportDump3: types.PipeTransportDump = {
  "consumerIds": [],
  "dataConsumerIds": [],
  "dataProducerIds": [],
  "id": "00000000-0000-0000-0000-000000000000",
  "mapRtxSsrcConsumerId": [],
  "mapSsrcConsumerId": [],
  "maxReceiveMessageSize": 262144,
  "maxSendMessageSize": 262144,
  "producerIds": [],
  "recvRtpHeaderExtensions": {},
  "rtpListener": {
    "midTable": [],
    "ridTable": [],
    "ssrcTable": []
  },
  "rtx": false,
  "traceEventTypes": [],
  "tuple": {
    "localAddress": "10.0.0.1",
    "localIp": "10.0.0.1",
    "localPort": 10004,
    "protocol": "udp",
    "remotePort": 0
  }
};

export const TransportDump4: types.PipeTransportDump = {
  "consumerIds": [],
  "dataConsumerIds": [],
  "dataProducerIds": [],
  "dtlsParameters": {
    "fingerprints": [
      {
        "algorithm": "sha-1",
        "value": "hash or id"
      },
      {
        "algorithm": "sha-224",
        "value": "hash or id"
      },
      {
        "algorithm": "sha-256",
        "value": "hash or id"
      },
      {
        "algorithm": "sha-384",
        "value": "hash or id"
      },
      {
        "algorithm": "sha-512",
        "value": "hash or id"
      }
    ],
    "role": "client"
  },
  "dtlsState": "connecting",
  "id": "00000000-0000-0000-0000-000000000000",
  "mapRtxSsrcConsumerId": [],
  "mapSsrcConsumerId": [],
  "maxReceiveMessageSize": 262144,
  "maxSendMessageSize": 262144,
  "producerIds": [],
  "recvRtpHeaderExtensions": {},
  "rtpListener": {
    "midTable": [],
    "ridTable": [],
    "ssrcTable": []
  },
  "rtx": false,
  "sctpListener": {
    "streamIdTable": []
  },
  "sctpNegotiatedCapabilities": {
    "negotiatedMaxInboundStreams": 0,
    "negotiatedMaxOutboundStreams": 0
  },
  "sctpParameters": {
    "MIS": 65535,
    "OS": 65535,
    "isDataChannel": false,
    "maxMessageSize": 262144,
    "maxReceiveMessageSize": 262144,
    "maxReceiverWindowBufferSize": 1048576,
    "maxSendMessageSize": 262144,
    "perStreamSendQueueLimit": 2000000,
    "port": 5000,
    "sendBufferSize": 2000000
  },
  "sctpState": "new",
  "traceEventTypes": [],
  "tuple": {
    "localAddress": "10.0.0.1",
    "localIp": "10.0.0.1",
    "localPort": 10005,
    "protocol": "udp",
    "remoteIp": "192.0.2.1",
    "remotePort": 20003
  }
};

export const TransportDump5: types.DirectTransportDump = {
  "consumerIds": [],
  "dataConsumerIds": [
    "00000000-0000-0000-0000-000000000000"
  ],
  "dataProducerIds": [
    "00000000-0000-0000-0000-000000000000"
  ],
  "id": "00000000-0000-0000-0000-000000000000",
  "mapRtxSsrcConsumerId": [],
  "mapSsrcConsumerId": [],
  "maxReceiveMessageSize": 262144,
  "maxSendMessageSize": 262144,
  "producerIds": [],
  "recvRtpHeaderExtensions": {},
  "rtpListener": {
    "midTable": [],
    "ridTable": [],
    "ssrcTable": []
  },
  "traceEventTypes": []
};

export const TransportStats0: types.WebRtcTransportStat = {
  "bytesDiscarded": 0,
  "bytesLimited": 0,
  "bytesReceived": 0,
  "bytesSent": 0,
  "datagramsDropped": 0,
  "dtlsRecordsDropped": 0,
  "dtlsState": "connected",
  "iceRole": "controlled",
  "iceSelectedTuple": {
    "localAddress": "10.0.0.1",
    "localIp": "10.0.0.1",
    "localPort": 10001,
    "protocol": "udp",
    "remoteIp": "192.0.2.1",
    "remotePort": 20001
  },
  "iceState": "completed",
  "lastHeard": 0,
  "maxIncomingBitrate": 0,
  "maxOutgoingBitrate": 0,
  "messagesAbandoned": 0,
  "messagesDiscarded": 0,
  "messagesDroppedUnsendable": 0,
  "messagesExpired": 0,
  "messagesGarbled": 0,
  "messagesLimited": 0,
  "messagesUnrouted": 0,
  "messagesUnsent": 0,
  "minOutgoingBitrate": 0,
  "probationBytesSent": 0,
  "probationSendBitrate": 0,
  "recvBitrate": 0,
  "rtpBytesReceived": 0,
  "rtpBytesSent": 0,
  "rtpRecvBitrate": 0,
  "rtpSendBitrate": 0,
  "rtxBytesReceived": 0,
  "rtxBytesSent": 0,
  "rtxRecvBitrate": 0,
  "rtxSendBitrate": 0,
  "sctpBytesInFlight": 0,
  "sctpBytesRetransmitted": 0,
  "sctpBytesRetransmittedBundled": 0,
  "sctpBytesRetransmittedProbe": 0,
  "sctpBytesRetransmittedRack": 0,
  "sctpBytesRetransmittedTimeout": 0,
  "sctpChunksRetransmitted": 0,
  "sctpChunksRetransmittedBundled": 0,
  "sctpChunksRetransmittedProbe": 0,
  "sctpChunksRetransmittedRack": 0,
  "sctpChunksRetransmittedTimeout": 0,
  "sctpChunksStripped": 0,
  "sctpCongestionWindow": 0,
  "sctpPacketsForeign": 0,
  "sctpPacketsMalformed": 0,
  "sctpPacketsOverload": 0,
  "sctpPacketsUnexpected": 0,
  "sctpRetransmissionTimeout": 0,
  "sctpRoundTripTime": 0,
  "sctpSpuriousRetransmissions": 0,
  "sctpState": "connected",
  "sendBitrate": 0,
  "timestamp": 0,
  "transportId": "00000000-0000-0000-0000-000000000000",
  "type": "webrtc-transport"
};

export const TransportStats1: types.WebRtcTransportStat = {
  "bytesDiscarded": 0,
  "bytesLimited": 0,
  "bytesReceived": 0,
  "bytesSent": 0,
  "datagramsDropped": 0,
  "dtlsRecordsDropped": 0,
  "dtlsState": "new",
  "iceRole": "controlled",
  "iceState": "new",
  "messagesDiscarded": 0,
  "messagesDroppedUnsendable": 0,
  "messagesLimited": 0,
  "messagesUnrouted": 0,
  "probationBytesSent": 0,
  "probationSendBitrate": 0,
  "recvBitrate": 0,
  "rtpBytesReceived": 0,
  "rtpBytesSent": 0,
  "rtpRecvBitrate": 0,
  "rtpSendBitrate": 0,
  "rtxBytesReceived": 0,
  "rtxBytesSent": 0,
  "rtxRecvBitrate": 0,
  "rtxSendBitrate": 0,
  "sendBitrate": 0,
  "timestamp": 0,
  "transportId": "00000000-0000-0000-0000-000000000000",
  "type": "webrtc-transport"
};

export const TransportStats2: types.PlainTransportStat = {
  "bytesDiscarded": 0,
  "bytesLimited": 0,
  "bytesReceived": 0,
  "bytesSent": 0,
  "comedia": false,
  "datagramsDropped": 0,
  "messagesAbandoned": 0,
  "messagesDiscarded": 0,
  "messagesDroppedUnsendable": 0,
  "messagesExpired": 0,
  "messagesGarbled": 0,
  "messagesLimited": 0,
  "messagesUnrouted": 0,
  "messagesUnsent": 0,
  "probationBytesSent": 0,
  "probationSendBitrate": 0,
  "recvBitrate": 0,
  "rtcpMux": true,
  "rtpBytesReceived": 0,
  "rtpBytesSent": 0,
  "rtpRecvBitrate": 0,
  "rtpSendBitrate": 0,
  "rtxBytesReceived": 0,
  "rtxBytesSent": 0,
  "rtxRecvBitrate": 0,
  "rtxSendBitrate": 0,
  "sctpChunksStripped": 0,
  "sctpPacketsForeign": 0,
  "sctpPacketsMalformed": 0,
  "sctpPacketsOverload": 0,
  "sctpPacketsUnexpected": 0,
  "sctpState": "new",
  "sendBitrate": 0,
  "timestamp": 0,
  "transportId": "00000000-0000-0000-0000-000000000000",
  "tuple": {
    "localAddress": "10.0.0.1",
    "localIp": "10.0.0.1",
    "localPort": 10003,
    "protocol": "udp",
    "remoteIp": "192.0.2.1",
    "remotePort": 20003
  },
  "type": "plain-rtp-transport"
};

export const TransportStats3: types.PipeTransportStat = {
  "bytesDiscarded": 0,
  "bytesLimited": 0,
  "bytesReceived": 0,
  "bytesSent": 0,
  "datagramsDropped": 0,
  "messagesDiscarded": 0,
  "messagesDroppedUnsendable": 0,
  "messagesLimited": 0,
  "messagesUnrouted": 0,
  "probationBytesSent": 0,
  "probationSendBitrate": 0,
  "recvBitrate": 0,
  "rtpBytesReceived": 0,
  "rtpBytesSent": 0,
  "rtpRecvBitrate": 0,
  "rtpSendBitrate": 0,
  "rtxBytesReceived": 0,
  "rtxBytesSent": 0,
  "rtxRecvBitrate": 0,
  "rtxSendBitrate": 0,
  "sendBitrate": 0,
  "timestamp": 0,
  "transportId": "00000000-0000-0000-0000-000000000000",
  "tuple": {
    "localAddress": "10.0.0.1",
    "localIp": "10.0.0.1",
    "localPort": 10004,
    "protocol": "udp",
    "remotePort": 0
  },
  "type": "pipe-transport"
};

export const TransportStats4: types.PipeTransportStat = {
  "bytesDiscarded": 0,
  "bytesLimited": 0,
  "bytesReceived": 0,
  "bytesSent": 0,
  "datagramsDropped": 0,
  "dtlsRecordsDropped": 0,
  "dtlsState": "connecting",
  "messagesAbandoned": 0,
  "messagesDiscarded": 0,
  "messagesDroppedUnsendable": 0,
  "messagesExpired": 0,
  "messagesGarbled": 0,
  "messagesLimited": 0,
  "messagesUnrouted": 0,
  "messagesUnsent": 0,
  "probationBytesSent": 0,
  "probationSendBitrate": 0,
  "recvBitrate": 0,
  "rtpBytesReceived": 0,
  "rtpBytesSent": 0,
  "rtpRecvBitrate": 0,
  "rtpSendBitrate": 0,
  "rtxBytesReceived": 0,
  "rtxBytesSent": 0,
  "rtxRecvBitrate": 0,
  "rtxSendBitrate": 0,
  "sctpChunksStripped": 0,
  "sctpPacketsForeign": 0,
  "sctpPacketsMalformed": 0,
  "sctpPacketsOverload": 0,
  "sctpPacketsUnexpected": 0,
  "sctpState": "new",
  "sendBitrate": 0,
  "timestamp": 0,
  "transportId": "00000000-0000-0000-0000-000000000000",
  "tuple": {
    "localAddress": "10.0.0.1",
    "localIp": "10.0.0.1",
    "localPort": 10005,
    "protocol": "udp",
    "remoteIp": "192.0.2.1",
    "remotePort": 20003
  },
  "type": "pipe-transport"
};

export const TransportStats5: types.DirectTransportStat = {
  "bytesDiscarded": 0,
  "bytesLimited": 0,
  "bytesReceived": 0,
  "bytesSent": 0,
  "datagramsDropped": 0,
  "messagesDiscarded": 0,
  "messagesDroppedUnsendable": 0,
  "messagesLimited": 0,
  "messagesUnrouted": 0,
  "probationBytesSent": 0,
  "probationSendBitrate": 0,
  "recvBitrate": 0,
  "rtpBytesReceived": 0,
  "rtpBytesSent": 0,
  "rtpRecvBitrate": 0,
  "rtpSendBitrate": 0,
  "rtxBytesReceived": 0,
  "rtxBytesSent": 0,
  "rtxRecvBitrate": 0,
  "rtxSendBitrate": 0,
  "sendBitrate": 0,
  "timestamp": 0,
  "transportId": "00000000-0000-0000-0000-000000000000",
  "type": "direct-transport"
};

export const TupleInfo0: types.TransportTuple = {
  "localAddress": "10.0.0.1",
  "localIp": "10.0.0.1",
  "localPort": 10001,
  "protocol": "udp",
  "remoteIp": "192.0.2.1",
  "remotePort": 20001
};

export const TupleInfo1: types.TransportTuple = {
  "localAddress": "10.0.0.1",
  "localIp": "10.0.0.1",
  "localPort": 10003,
  "protocol": "udp",
  "remoteIp": "192.0.2.1",
  "remotePort": 20003
};

export const TupleInfo2: types.TransportTuple = {
  "localAddress": "10.0.0.1",
  "localIp": "10.0.0.1",
  "localPort": 10004,
  "protocol": "udp",
  "remotePort": 0
};

export const UdpConnectAnswer0: answers.UdpConnectAnswer = {
  "tuple": {
    "localAddress": "10.0.0.1",
    "localIp": "10.0.0.1",
    "localPort": 10003,
    "protocol": "udp",
    "remoteIp": "192.0.2.1",
    "remotePort": 20003
  }
};

export const UdpConnectAnswer1: answers.UdpConnectAnswer = {
  "dtlsLocalRole": "client",
  "tuple": {
    "localAddress": "10.0.0.1",
    "localIp": "10.0.0.1",
    "localPort": 10005,
    "protocol": "udp",
    "remoteIp": "192.0.2.1",
    "remotePort": 20003
  }
};

export const UdpTransportAnswer0: answers.UdpTransportAnswer = {
  "id": "00000000-0000-0000-0000-000000000000",
  "sctpParameters": {
    "MIS": 65535,
    "OS": 65535,
    "isDataChannel": false,
    "maxMessageSize": 262144,
    "maxReceiveMessageSize": 262144,
    "maxReceiverWindowBufferSize": 1048576,
    "maxSendMessageSize": 262144,
    "perStreamSendQueueLimit": 2000000,
    "port": 5000,
    "sendBufferSize": 2000000
  },
  "tuple": {
    "localAddress": "10.0.0.1",
    "localIp": "10.0.0.1",
    "localPort": 10003,
    "protocol": "udp",
    "remotePort": 0
  }
};

export const UdpTransportAnswer1: answers.UdpTransportAnswer = {
  "id": "00000000-0000-0000-0000-000000000000",
  "tuple": {
    "localAddress": "10.0.0.1",
    "localIp": "10.0.0.1",
    "localPort": 10004,
    "protocol": "udp",
    "remotePort": 0
  }
};

export const WebRtcConnectAnswer0: answers.WebRtcConnectAnswer = {
  "dtlsLocalRole": "server"
};

export const WebRtcServerDump0: types.WebRtcServerDump = {
  "datagramsDropped": 0,
  "id": "00000000-0000-0000-0000-000000000000",
  "localIceUsernameFragments": [
    {
      "localIceUsernameFragment": "secret",
      "webRtcTransportId": "00000000-0000-0000-0000-000000000000"
    }
  ],
  "tcpServers": [],
  "udpSockets": [
    {
      "ip": "10.0.0.1",
      "port": 10001
    }
  ],
  "webRtcTransportIds": [
    "00000000-0000-0000-0000-000000000000"
  ]
};

export const WebRtcTransportAnswer0: answers.WebRtcTransportAnswer = {
  "iceCandidates": [
    {
      "address": "10.0.0.1",
      "foundation": "udpcandidate",
      "ip": "10.0.0.1",
      "port": 10001,
      "priority": 1076302079,
      "protocol": "udp",
      "type": "host"
    }
  ],
  "iceParameters": {
    "iceLite": true,
    "password": "secret",
    "usernameFragment": "secret"
  },
  "id": "00000000-0000-0000-0000-000000000000",
  "sctpParameters": {
    "MIS": 65535,
    "OS": 65535,
    "isDataChannel": true,
    "maxMessageSize": 262144,
    "maxReceiveMessageSize": 262144,
    "maxReceiverWindowBufferSize": 1048576,
    "maxSendMessageSize": 262144,
    "perStreamSendQueueLimit": 2000000,
    "port": 5000,
    "sendBufferSize": 2000000
  }
};

export const WebRtcTransportAnswer1: answers.WebRtcTransportAnswer = {
  "iceCandidates": [
    {
      "address": "10.0.0.1",
      "foundation": "udpcandidate",
      "ip": "10.0.0.1",
      "port": 10002,
      "priority": 1076302079,
      "protocol": "udp",
      "type": "host"
    }
  ],
  "iceParameters": {
    "iceLite": true,
    "password": "secret",
    "usernameFragment": "secret"
  },
  "id": "00000000-0000-0000-0000-000000000000"
};

export const WorkerAnswer0: answers.WorkerAnswer = {
  "dtlsFingerprints": [
    {
      "algorithm": "sha-1",
      "value": "hash or id"
    },
    {
      "algorithm": "sha-224",
      "value": "hash or id"
    },
    {
      "algorithm": "sha-256",
      "value": "hash or id"
    },
    {
      "algorithm": "sha-384",
      "value": "hash or id"
    },
    {
      "algorithm": "sha-512",
      "value": "hash or id"
    }
  ]
};

export const WorkerDump0: types.WorkerDump = {
  "bytesHeld": 73,
  "channelMessageHandlers": {
    "channelNotificationHandlers": [
      "00000000-0000-0000-0000-000000000000",
      "00000000-0000-0000-0000-000000000000",
      "00000000-0000-0000-0000-000000000000",
      "00000000-0000-0000-0000-000000000000",
      "00000000-0000-0000-0000-000000000000",
      "00000000-0000-0000-0000-000000000000",
      "00000000-0000-0000-0000-000000000000",
      "00000000-0000-0000-0000-000000000000"
    ],
    "channelRequestHandlers": [
      "00000000-0000-0000-0000-000000000000",
      "00000000-0000-0000-0000-000000000000",
      "00000000-0000-0000-0000-000000000000",
      "00000000-0000-0000-0000-000000000000",
      "00000000-0000-0000-0000-000000000000",
      "00000000-0000-0000-0000-000000000000",
      "00000000-0000-0000-0000-000000000000",
      "00000000-0000-0000-0000-000000000000",
      "00000000-0000-0000-0000-000000000000",
      "00000000-0000-0000-0000-000000000000",
      "00000000-0000-0000-0000-000000000000",
      "00000000-0000-0000-0000-000000000000"
    ]
  },
  "datagramsOverflowed": 0,
  "datagramsUnanswerable": 0,
  "datagramsUnsent": 0,
  "eventsMerged": 0,
  "logLinesDropped": 0,
  "messagesDroppedAtClose": 0,
  "messagesDroppedMemory": 0,
  "pid": 1,
  "routerIds": [
    "00000000-0000-0000-0000-000000000000"
  ],
  "tcpConnectionsDropped": 0,
  "webRtcServerIds": [
    "00000000-0000-0000-0000-000000000000"
  ]
};

export const WorkerMetrics0: answers.WorkerMetrics = {
  "bytesReceived": {
    "pipe": 0,
    "plain": 0,
    "webrtc": 0
  },
  "bytesSent": {
    "pipe": 0,
    "plain": 0,
    "webrtc": 0
  },
  "cpuTime": {
    "system": 0,
    "user": 0
  },
  "dataConsumers": 0,
  "dataProducers": 0,
  "datagramsOverflowed": 0,
  "datagramsRejected": {
    "server": 0,
    "transport": 0
  },
  "datagramsUnanswerable": 0,
  "datagramsUnsent": 0,
  "dtlsRecordsDropped": 0,
  "eventsMerged": 0,
  "javaScriptDelays": {
    "bounds": [
      0.0001,
      0.00025,
      0.0005,
      0.001,
      0.0025,
      0.005,
      0.01,
      0.025,
      0.05,
      0.1,
      0.25,
      0.5,
      1,
      2.5,
      10
    ],
    "counts": [
      0,
      0,
      0,
      0,
      0,
      0,
      0,
      0,
      0,
      0,
      0,
      0,
      0,
      0,
      0,
      0
    ],
    "sum": 0
  },
  "logLinesDropped": 0,
  "messageBytesReceived": 0,
  "messageBytesSent": 0,
  "messageBytesSentDirectly": 0,
  "messagesDropped": {
    "abandoned": 0,
    "at_close": 0,
    "discarded": 0,
    "expired": 0,
    "full": 0,
    "garbled": 0,
    "limited": 0,
    "replaced": 0,
    "stale": 0,
    "too_large": 0,
    "unrouted": 0,
    "unsendable": 0,
    "unsent": 0
  },
  "messagesReceived": 0,
  "messagesRejected": 0,
  "messagesSent": 0,
  "messagesSentDirectly": 0,
  "messagesSkipped": {
    "consumer_paused": 0,
    "filtered": 0,
    "producer_paused": 0
  },
  "queueDelays": {
    "bounds": [
      0.0001,
      0.00025,
      0.0005,
      0.001,
      0.0025,
      0.005,
      0.01,
      0.025,
      0.05,
      0.1,
      0.25,
      0.5,
      1,
      2.5,
      10
    ],
    "counts": [
      0,
      0,
      0,
      0,
      0,
      0,
      0,
      0,
      0,
      0,
      0,
      0,
      0,
      0,
      0,
      0
    ],
    "sum": 0
  },
  "queuedBytes": 0,
  "routers": 0,
  "sctpBytesRetransmitted": {
    "bundled": 0,
    "probe": 0,
    "rack": 0,
    "timeout": 0
  },
  "sctpChunksRetransmitted": {
    "bundled": 0,
    "probe": 0,
    "rack": 0,
    "timeout": 0
  },
  "sctpChunksStripped": 0,
  "sctpPacketsDropped": {
    "foreign": 0,
    "malformed": 0,
    "overload": 0,
    "unexpected": 0
  },
  "sctpRoundTrips": {
    "bounds": [
      0.001,
      0.0025,
      0.005,
      0.01,
      0.025,
      0.05,
      0.075,
      0.1,
      0.15,
      0.25,
      0.5,
      1,
      2.5,
      5
    ],
    "counts": [
      0,
      0,
      0,
      0,
      0,
      0,
      0,
      0,
      0,
      0,
      0,
      0,
      0,
      0,
      0
    ],
    "sum": 0
  },
  "sctpSpuriousRetransmissions": 0,
  "tcpConnectionsDropped": 0,
  "transports": {
    "direct": 0,
    "pipe": 0,
    "plain": 0,
    "webrtc": 0
  },
  "turns": {
    "bounds": [
      0.00001,
      0.000025,
      0.00005,
      0.0001,
      0.00025,
      0.0005,
      0.001,
      0.0025,
      0.005,
      0.01,
      0.025,
      0.05,
      0.1
    ],
    "counts": [
      0,
      0,
      0,
      0,
      0,
      0,
      0,
      0,
      0,
      0,
      0,
      0,
      0,
      0
    ],
    "sum": 0
  },
  "webRtcServers": 0
};
