import { WebRtcPeers } from './WebRtcPeers';

/** The process with the WebRTC clients of a test file. It starts before the first test and ends after the last. */
export let peers: WebRtcPeers;

beforeAll(() => {
  peers = new WebRtcPeers();
});

afterAll(() => peers.close());
