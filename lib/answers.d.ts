// The worker's answers to requests, as far as index.d.ts does not show them to the application. Each has the name of
// its Rust struct; `__test__/types/answers.ts` compares the two.

import type {
  DtlsFingerprint,
  DtlsRole,
  IceCandidate,
  IceParameters,
  SctpParameters,
  TransportTuple,
} from '..';

export type WorkerAnswer = { dtlsFingerprints: DtlsFingerprint[] };

export type CreatedAnswer = { id: string };

export type WebRtcTransportAnswer = {
  id: string;
  iceParameters: IceParameters;
  iceCandidates: IceCandidate[];
  /** Undefined if SCTP is not enabled. */
  sctpParameters?: SctpParameters;
};

export type UdpTransportAnswer = {
  id: string;
  tuple: TransportTuple;
  /** Undefined if SCTP is not enabled. */
  sctpParameters?: SctpParameters;
};

export type WebRtcConnectAnswer = { dtlsLocalRole: DtlsRole };

export type UdpConnectAnswer = { tuple: TransportTuple };
