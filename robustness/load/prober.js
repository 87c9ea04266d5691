'use strict';

// STUN round trips to a WebRtcTransport, measured by a process of its own: how soon a worker answers a peer.

const { Host } = require('../../bench/processes/host');

class Prober {
  #host = Host.ofNode(require.resolve('./proberProcess'));

  get pid() {
    return this.#host.pid;
  }

  /**
   * Sends a request every `everyMs` and waits for the answers.
   *
   * @param {any} transport - a WebRtcTransport with a UDP candidate on an IPv4 address.
   * @param {{ seconds: number, everyMs?: number }} options
   * @returns {Promise<number[]>} the round trips in µs. A request without an answer counts as the time waited for it.
   */
  probe({ iceParameters, iceCandidates }, { seconds, everyMs = 2 }) {
    const { address, port } = iceCandidates.find(
      (/** @type {any} */ { protocol }) => protocol === 'udp',
    );

    return this.#host.call('probe', { address, port, ...iceParameters, seconds, everyMs });
  }

  /**
   * Resolves when nothing listens on a port of 127.0.0.1.
   *
   * @param {number} port
   * @returns {Promise<number>} the time at which it was free, in ms since the epoch.
   */
  free(port) {
    return this.#host.call('free', port);
  }

  async close() {
    await this.#host.end();
  }
}

exports.Prober = Prober;
