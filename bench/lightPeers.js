'use strict';

// WebRTC clients in Rust (clients/), thousands in one process where libdatachannel holds dozens.

const { execFileSync, spawn } = require('node:child_process');
const { once } = require('node:events');
const path = require('node:path');
const readline = require('node:readline');

const { cpuOfProcess } = require('./harness');

/** What the process must have answered by then: 10,000 handshakes take a while. */
const ANSWER_MS = 300_000;

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
  /** @type {Map<number, { resolve: (result: any) => void, reject: (error: Error) => void }>} */
  #pending = new Map();
  #lastId = 0;
  #child;
  /** @type {number[][]} */
  #streamIds = [];

  /** @param {{ threads?: number }} [options] */
  constructor({ threads = 1 } = {}) {
    const program = process.env.BENCH_CLIENTS;

    if (!program) {
      throw new Error('BENCH_CLIENTS does not name the program of the clients');
    }
    this.#child = spawn(program, [`${threads}`], { stdio: ['pipe', 'pipe', 'inherit'] });
    readline.createInterface({ input: this.#child.stdout }).on('line', (line) => {
      const { id, result, error } = JSON.parse(line);
      const pending = this.#pending.get(id);

      this.#pending.delete(id);
      if (error === undefined) {
        pending?.resolve(result);
      } else {
        pending?.reject(new Error(error));
      }
    });
    this.#child.on('exit', () => {
      for (const { reject } of this.#pending.values()) {
        reject(new Error('the process of the clients has ended'));
      }
    });
    // What is written to a process that has ended is missed in its answers.
    this.#child.stdin.on('error', () => {});
  }

  /**
   * @param {(number | number[])[]} streamIds - of the channels of each client. It sends on its first.
   * @returns {Promise<any[]>} what the `connect()` of the transports takes.
   */
  async dtlsParameters(streamIds) {
    const fingerprints = await this.#call('fingerprints');

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

    await this.#call('connect', { servers });
  }

  /** The CPU time of the clients so far, in µs. */
  get cpuMicros() {
    return cpuOfProcess(this.#child.pid ?? 0);
  }

  /** @param {{ latencies?: boolean }} [options] */
  async ready({ latencies = false } = {}) {
    await this.#call('ready', { latencies });
  }

  /**
   * @param {number} count
   * @returns {Promise<import('./harness').Outcome>}
   */
  async received(count) {
    const outcome = await this.#call('received', { count });

    return { ...outcome, latencies: () => this.#call('latencies') };
  }

  /** @param {{ count: number, size: number, perSecond?: number }} load - `perSecond` of each client. */
  async send(load) {
    await this.#call('send', load);
  }

  /** From now on the clients send back what they get. */
  async echo() {
    await this.#call('echo');
  }

  async disconnect() {
    await this.#call('disconnect');
  }

  async close() {
    const ended = once(this.#child, 'exit');

    this.#child.stdin.end();
    await ended;
  }

  /**
   * @param {string} method
   * @param {object} [args]
   * @returns {Promise<any>}
   */
  #call(method, args) {
    const id = ++this.#lastId;

    return new Promise((resolve, reject) => {
      const timer = setTimeout(
        () => reject(new Error(`no answer to ${method}() in ${ANSWER_MS} ms`)),
        ANSWER_MS,
      );
      const settle = (/** @type {(value: any) => void} */ how) => (/** @type {any} */ value) => {
        clearTimeout(timer);
        how(value);
      };

      this.#pending.set(id, { resolve: settle(resolve), reject: settle(reject) });
      this.#child.stdin.write(`${JSON.stringify({ id, method, args })}\n`);
    });
  }
}

exports.LightPeers = LightPeers;
exports.buildLightPeers = buildLightPeers;
