'use strict';

// WebRTC clients in Rust (light/): thousands to a process, where libdatachannel manages dozens.

const { buildProgram } = require('../processes/cargo');
const { Host } = require('../processes/host');

/**
 * Builds the clients, unless they are up to date.
 *
 * @param {string} profile - of Cargo.
 * @returns {string} the path of the program.
 */
function buildLightClients(profile) {
  return buildProgram('example', 'webrtc-clients', profile);
}

/** Has the methods of `DatachannelClients`, except `pour()` and those with SDP. */
class LightClients {
  #host;
  /** @type {number[][]} */
  #streamIds = [];

  /** @param {{ threads?: number }} [options] */
  constructor({ threads = 1 } = {}) {
    const program = process.env.BENCH_CLIENTS;

    if (!program) {
      throw new Error('BENCH_CLIENTS must be the path of the program of the clients');
    }
    this.#host = Host.ofProgram(program, [`${threads}`]);
  }

  /**
   * Returns what the `connect()` of WebRtcTransports takes.
   *
   * @param {(number | number[])[]} streamIds - one or more for each client's channels. It sends on the first.
   * @returns {Promise<any[]>}
   */
  async dtlsParameters(streamIds) {
    const fingerprints = await this.#host.call('fingerprints');

    this.#streamIds = streamIds.map((each) => [each].flat());
    return streamIds.map(() => ({ role: 'client', fingerprints }));
  }

  /**
   * Resolves when all channels are open.
   *
   * @param {any[]} transports
   */
  async connectTo(transports) {
    const servers = transports.map(({ iceParameters, iceCandidates, dtlsParameters }, index) => ({
      iceParameters,
      iceCandidates,
      dtlsParameters,
      streamIds: this.#streamIds[index],
    }));

    await this.#host.call('connect', { servers });
  }

  /** CPU time of the clients so far, in µs. */
  get cpuMicros() {
    return this.#host.cpuMicros;
  }

  /** @param {{ latencies?: boolean }} [options] */
  async ready({ latencies = false } = {}) {
    await this.#host.call('ready', { latencies });
  }

  /**
   * @param {number} count
   * @returns {Promise<import('../types').Outcome>}
   */
  async received(count) {
    const outcome = await this.#host.call('received', { count });

    return { ...outcome, latencies: () => this.#host.call('latencies') };
  }

  /** @param {{ count: number, size: number, perSecond?: number }} load - `perSecond` of each client. */
  async send(load) {
    await this.#host.call('send', load);
  }

  /** Makes the clients send back what they receive. */
  async echo() {
    await this.#host.call('echo');
  }

  get pids() {
    return [this.#host.pid];
  }

  async disconnect() {
    await this.#host.call('disconnect');
  }

  async close() {
    await this.#host.end();
  }
}

exports.LightClients = LightClients;
exports.buildLightClients = buildLightClients;
