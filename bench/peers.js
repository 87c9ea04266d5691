'use strict';

// WebRTC clients (node-datachannel) in processes of their own: what they cost is not what a row measures.

const { fork } = require('node:child_process');
const { once } = require('node:events');
const path = require('node:path');

const { sum } = require('./harness');

/** What a process must have answered by then. */
const ANSWER_MS = 120_000;

/** A process that does what it is asked: `{ id, method, args }` in, `{ id, result | error }` out. */
class Host {
  /** @type {Map<number, { resolve: (result: any) => void, reject: (error: Error) => void }>} */
  #pending = new Map();
  #lastId = 0;
  #child;

  /** @param {string} file */
  constructor(file) {
    this.#child = fork(path.join(__dirname, file), { serialization: 'advanced', execArgv: [] });
    this.#child.on('message', (/** @type {any} */ { id, result, error }) => {
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
        reject(new Error(`the process of ${file} has ended`));
      }
    });
  }

  /**
   * @param {string} method
   * @param {...any} args
   * @returns {Promise<any>}
   */
  call(method, ...args) {
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
      this.#child.send({ id, method, args }, (error) => {
        if (error) {
          settle(reject)(error);
        }
      });
    });
  }

  /** @returns {number} */
  get pid() {
    return this.#child.pid ?? 0;
  }

  async end() {
    const ended = once(this.#child, 'exit');

    this.#child.disconnect();
    await ended;
  }

  /** Ends the process without a word. */
  async kill() {
    const ended = once(this.#child, 'exit');

    this.#child.kill('SIGKILL');
    await ended;
  }
}

/** What answers a method named `name` of `methods`: the other side of `Host`. */
function serve(/** @type {Record<string, (...args: any[]) => unknown>} */ methods) {
  process.on('message', async (/** @type {any} */ { id, method, args }) => {
    // Nobody may be there any more to be told.
    const tell = (/** @type {object} */ told) => process.send?.({ id, ...told }, () => {});

    try {
      tell({ result: await methods[method](...args) });
    } catch (error) {
      tell({ error: error instanceof Error ? error.stack : String(error) });
    }
  });
  process.on('disconnect', () => process.exit());
}

/** A number of clients, in several processes. */
class Peers {
  #hosts;
  #count;

  /** @param {{ count: number, processes?: number }} options */
  constructor({ count, processes = 1 }) {
    this.#count = count;
    this.#hosts = Array.from({ length: processes }, () => new Host('peerHost.js'));
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

  /** Has the clients expect message 0. */
  async ready() {
    await this.#all('ready');
  }

  /** Has the clients note how long stamped messages take, from now on. */
  async watch() {
    await this.#all('watch');
  }

  /** @returns {Promise<number[]>} what they have noted, in µs. */
  async watched() {
    return (await this.#all('watched')).flat();
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

module.exports = { Host, Peers, answerOf, dtlsParametersOf, serve };
