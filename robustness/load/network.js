'use strict';

// A bad network (__test__/helpers/BadNetwork.js) in a process of its own, so that it does not share a thread with the
// server.

const { Host } = require('../../bench/processes/host');

/** @typedef {import('../../__test__/helpers/BadNetwork').Conditions} Conditions */

class Network {
  #host = Host.ofNode(require.resolve('./networkProcess'));

  /**
   * Puts the network in front of WebRtcTransports that share a port.
   *
   * @param {any[]} transports
   * @param {Conditions} conditions
   * @param {number} seed
   * @returns {Promise<any[]>} the parameters of the transports, as their clients see them through the network.
   */
  async hide(transports, conditions, seed) {
    const [{ address, port }] = transports[0].iceCandidates;
    const iceCandidates = [{ address, port }];
    const proxy = await this.#host.call('open', { iceCandidates }, conditions, seed);

    return transports.map(({ iceParameters, iceCandidates, dtlsParameters, sctpParameters }) => ({
      iceParameters,
      iceCandidates: [{ ...iceCandidates[0], port: proxy }],
      dtlsParameters,
      sctpParameters,
    }));
  }

  /**
   * How many datagrams were carried and lost so far.
   *
   * @returns {Promise<Record<'up' | 'down', { carried: number, lost: number }>>}
   */
  counts() {
    return this.#host.call('counts');
  }

  async close() {
    await this.#host.end();
  }
}

exports.Network = Network;
