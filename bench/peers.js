'use strict';

// WebRTC clients (node-datachannel) in processes of their own: what they cost is not what a row measures. See also
// lightPeers.js.

const { sum } = require('./harness');
const { Host } = require('./host');

/** A number of clients, in several processes. */
class Peers {
  #hosts;
  #count;

  /** @param {{ count: number, processes?: number }} options */
  constructor({ count, processes = 1 }) {
    this.#count = count;
    this.#hosts = Array.from({ length: processes }, () => Host.ofNode('peerHost.js'));
  }

  /**
   * Makes the clients, each with one channel, and has them offer.
   *
   * @param {number[]} streamIds - of the channels, one each.
   * @returns {Promise<string[]>} the offers.
   */
  async offer(streamIds) {
    const perHost = Math.ceil(this.#count / this.#hosts.length);
    const offers = await Promise.all(
      this.#hosts.map((host, index) =>
        host.call('offer', streamIds.slice(index * perHost, (index + 1) * perHost)),
      ),
    );

    return offers.flat();
  }

  /**
   * Gives the clients their answers.
   *
   * @param {string[]} answers - in the order of the offers.
   * @returns {Promise<void>} resolves when all channels are open.
   */
  async connect(answers) {
    const perHost = Math.ceil(this.#count / this.#hosts.length);

    await Promise.all(
      this.#hosts.map((host, index) =>
        host.call('connect', answers.slice(index * perHost, (index + 1) * perHost)),
      ),
    );
  }

  /**
   * As `offer()`, for a server with the API that is measured.
   *
   * @param {number[]} streamIds
   * @returns {Promise<any[]>} what the `connect()` of the transports takes.
   */
  async dtlsParameters(streamIds) {
    return (await this.offer(streamIds)).map(dtlsParametersOf);
  }

  /**
   * As `connect()`.
   *
   * @param {any[]} transports - in the order of the DTLS parameters.
   */
  async connectTo(transports) {
    await this.connect(transports.map(answerOf));
  }

  /** The CPU time of the clients so far, in µs. */
  get cpuMicros() {
    return sum(this.#hosts.map((host) => host.cpuMicros));
  }

  /**
   * Has the clients expect message 0.
   *
   * @param {{ latencies?: boolean }} [options] - whether to measure how long messages take.
   */
  async ready(options) {
    await this.#all('ready', options);
  }

  /**
   * Resolves when each client has got `count` numbered messages since `ready()`, or nothing more comes.
   *
   * @param {number} count
   * @returns {Promise<import('./harness').Outcome>}
   */
  async received(count) {
    const outcomes = await this.#all('received', count);

    return {
      items: sum(outcomes.map(({ items }) => items)),
      lost: sum(outcomes.map(({ lost }) => lost)),
      disordered: sum(outcomes.map(({ disordered }) => disordered)),
      latencies: async () => (await this.#all('latencies')).flat(),
    };
  }

  /**
   * Has each client send numbered messages, as fast as they are taken.
   *
   * @param {{ count: number, size: number }} load
   */
  async send(load) {
    await this.#all('send', load);
  }

  /**
   * Has each client make round trips, one at a time, over a channel whose messages come back.
   *
   * @param {{ seconds: number, size: number }} load
   * @returns {Promise<number[]>} how long each took, in µs.
   */
  async ping(load) {
    return (await this.#all('ping', load)).flat();
  }

  /** The processes of the clients. */
  get pids() {
    return this.#hosts.map((host) => host.pid);
  }

  /** Ends the clients, not their processes. */
  async disconnect() {
    await this.#all('disconnect');
  }

  async close() {
    await Promise.all(this.#hosts.map((host) => host.end()));
  }

  /** Ends the processes without a word to the servers of their clients. */
  async kill() {
    await Promise.all(this.#hosts.map((host) => host.kill()));
  }

  /**
   * @param {string} method
   * @param {...any} args
   */
  async #all(method, ...args) {
    return Promise.all(this.#hosts.map((host) => host.call(method, ...args)));
  }
}

/** @param {string} offer */
function dtlsParametersOf(offer) {
  const [, algorithm, value] = /a=fingerprint:(\S+) (\S+)/.exec(offer) ?? [];

  return { role: 'client', fingerprints: [{ algorithm, value }] };
}

/**
 * The SDP answer that a WebRtcTransport would give to a client that is to be the DTLS client.
 *
 * @param {any} transport
 * @returns {string}
 */
function answerOf({ iceParameters, iceCandidates, dtlsParameters, sctpParameters }) {
  const fingerprint = dtlsParameters.fingerprints.find(
    (/** @type {any} */ { algorithm }) => algorithm === 'sha-256',
  );

  return [
    'v=0',
    'o=- 1 1 IN IP4 127.0.0.1',
    's=-',
    't=0 0',
    'a=ice-lite',
    'a=group:BUNDLE 0',
    `a=fingerprint:sha-256 ${fingerprint.value}`,
    'm=application 9 UDP/DTLS/SCTP webrtc-datachannel',
    'c=IN IP4 127.0.0.1',
    'a=mid:0',
    'a=sendrecv',
    `a=ice-ufrag:${iceParameters.usernameFragment}`,
    `a=ice-pwd:${iceParameters.password}`,
    'a=setup:passive',
    `a=sctp-port:${sctpParameters.port}`,
    'a=max-message-size:262144',
    ...iceCandidates.map(
      (/** @type {any} */ { foundation, priority, ip, address = ip, port, type }) =>
        `a=candidate:${foundation} 1 udp ${priority} ${address} ${port} typ ${type}`,
    ),
    'a=end-of-candidates',
    '',
  ].join('\r\n');
}

exports.Peers = Peers;
exports.answerOf = answerOf;
exports.dtlsParametersOf = dtlsParametersOf;
