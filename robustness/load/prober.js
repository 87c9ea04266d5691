'use strict';

// STUN round trips to WebRtcTransports, measured by a process of its own: how soon a worker answers a peer.

const { Host } = require('../../bench/processes/host');

class Prober {
  #host = Host.ofNode(require.resolve('./proberProcess'));

  get pid() {
    return this.#host.pid;
  }

  /**
   * Sends a request to each target in turn, one every `everyMs`, and waits for the answers.
   *
   * @param {any[]} targets - WebRtcTransports, each with a UDP candidate on an IPv4 address.
   * @param {{ seconds: number, everyMs?: number }} options
   * @returns {Promise<number[][]>} the round trips to each target in µs. A request without an answer counts as the time
   * waited for it.
   */
  probe(targets, { seconds, everyMs = 2 }) {
    const addressed = targets.map(({ iceParameters, iceCandidates }) => {
      const { address, port } = iceCandidates.find(
        (/** @type {any} */ { protocol }) => protocol === 'udp',
      );

      return { ...iceParameters, address, port };
    });

    return this.#host.call('probe', { targets: addressed, seconds, everyMs });
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
