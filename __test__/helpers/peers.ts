import { WebRtcPeers } from './WebRtcPeers';

/** The process with the WebRTC clients of a test file: starts before its first test, ends after its last. */
export let peers: WebRtcPeers;

beforeAll(() => {
  peers = new WebRtcPeers();
});

afterAll(() => peers.close());
