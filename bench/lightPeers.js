'use strict';

// WebRTC clients in Rust (clients/), thousands in one process where libdatachannel holds dozens.

const { execFileSync } = require('node:child_process');
const path = require('node:path');

const { Host } = require('./host');

/**
 * Builds the clients, unless they are up to date.
 *
 * @param {string} profile - of Cargo.
 * @returns {string} the program.
 */
function buildLightPeers(profile) {
  const args = ['build', '--locked', '--quiet', '--example', 'webrtc-clients'];
  const output = execFileSync(
    'cargo',
    [...args, '--profile', profile, '--message-format', 'json-render-diagnostics'],
    {
      cwd: path.join(__dirname, '..'),
      encoding: 'utf8',
      maxBuffer: 2 ** 28,
      stdio: ['ignore', 'pipe', 'inherit'],
    },
  );
  const lines = output.split('\n').filter((line) => line.includes('"executable"'));
  const built = lines.map((line) => JSON.parse(line)).find(({ executable }) => executable);

  return built.executable;
}

/** Has the same methods as `Peers`, but for those with SDP. */
class LightPeers {
  #host;
  /** @type {number[][]} */
  #streamIds = [];

  /** @param {{ threads?: number }} [options] */
  constructor({ threads = 1 } = {}) {
    const program = process.env.BENCH_CLIENTS;

    if (!program) {
      throw new Error('BENCH_CLIENTS does not name the program of the clients');
    }
    this.#host = Host.ofProgram(program, [`${threads}`]);
  }

  /**
   * @param {(number | number[])[]} streamIds - of the channels of each client. It sends on its first.
   * @returns {Promise<any[]>} what the `connect()` of the transports takes.
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

  /** The CPU time of the clients so far, in µs. */
  get cpuMicros() {
    return this.#host.cpuMicros;
  }

  /** @param {{ latencies?: boolean }} [options] */
  async ready({ latencies = false } = {}) {
    await this.#host.call('ready', { latencies });
  }

  /**
   * @param {number} count
   * @returns {Promise<import('./harness').Outcome>}
   */
  async received(count) {
    const outcome = await this.#host.call('received', { count });

    return { ...outcome, latencies: () => this.#host.call('latencies') };
  }

  /** @param {{ count: number, size: number, perSecond?: number }} load - `perSecond` of each client. */
  async send(load) {
    await this.#host.call('send', load);
  }

  /** From now on the clients send back what they get. */
  async echo() {
    await this.#host.call('echo');
  }

  async disconnect() {
    await this.#host.call('disconnect');
  }

  async close() {
    await this.#host.end();
  }
}

exports.LightPeers = LightPeers;
exports.buildLightPeers = buildLightPeers;
