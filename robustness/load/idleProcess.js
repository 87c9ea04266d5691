'use strict';

// A process with a Worker that has nothing to do: what a round trip takes on a machine that is busy otherwise (busy.js).

const { IMPL } = require('../../bench/implementation');
const { serve } = require('../../bench/processes/host');

serve({
  /** What the Prober needs of a WebRtcTransport. */
  async listen() {
    const router = await (await require(IMPL).createWorker()).createRouter();
    const { iceParameters, iceCandidates } = await router.createWebRtcTransport({
      listenInfos: [{ protocol: 'udp', ip: '127.0.0.1' }],
    });

    return { iceParameters, iceCandidates };
  },
});
