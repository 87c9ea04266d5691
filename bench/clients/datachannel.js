'use strict';

// WebRTC clients of node-datachannel (libdatachannel), in processes of their own, so that a row does not measure their
// cost. light.js has the same methods.

const { answerOf, dtlsParametersOf } = require('../../examples/sdp');
const { Host } = require('../processes/host');
const { sum } = require('../statistics');

const PROCESS = require.resolve('./datachannelProcess');

/** Clients, spread over several processes. */
class DatachannelClients {
  #hosts;
  #count;

  /** @param {{ count: number, processes?: number }} options */
  constructor({ count, processes = 1 }) {
    this.#count = count;
    this.#hosts = Array.from({ length: processes }, () => Host.ofNode(PROCESS));
  }

  /**
   * Makes the clients, each with one channel.
   *
   * @param {number[]} streamIds - one for each client's channel.
   * @returns {Promise<string[]>} their offers.
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
   * Hands the clients their answers.
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
   * Like `offer()`, but returns what the `connect()` of WebRtcTransports takes.
   *
   * @param {number[]} streamIds
   * @returns {Promise<any[]>}
   */
  async dtlsParameters(streamIds) {
    return (await this.offer(streamIds)).map((offer) => dtlsParametersOf(offer));
  }

  /**
   * Like `connect()`, with the answers of WebRtcTransports.
   *
   * @param {any[]} transports - in the order of the DTLS parameters.
   */
  async connectTo(transports) {
    await this.connect(transports.map((transport) => answerOf(transport)));
  }

  /** CPU time of the clients so far, in µs. */
  get cpuMicros() {
    return sum(this.#hosts.map((host) => host.cpuMicros));
  }

  /**
   * Makes the clients expect message 0.
   *
   * @param {{ latencies?: boolean }} [options] - whether to measure latencies.
   */
  async ready(options) {
    await this.#all('ready', options);
  }

  /** @returns {Promise<number[]>} how many messages each client has received since `ready()`. */
  async counts() {
    return (await this.#all('counts')).flat();
  }

  /**
   * Resolves when each client has `count` messages since `ready()`, or when messages stop coming.
   *
   * @param {number} count
   * @returns {Promise<import('../types').Outcome>}
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

  /** @returns {Promise<number[]>} the longest time between two messages for each client, in µs, with latencies. */
  async gaps() {
    return (await this.#all('gaps')).flat();
  }

  /**
   * Makes each client send numbered messages as fast as its channel takes them.
   *
   * @param {{ count: number, size: number }} load
   */
  async send(load) {
    await this.#all('send', load);
  }

  /**
   * Makes each client send at an even pace, whatever its channel takes.
   *
   * @param {{ count: number, size: number, perSecond: number }} load
   * @returns {Promise<number[]>} how many messages the channel of each took before it closed.
   */
  async pour(load) {
    return (await this.#all('pour', load)).flat();
  }

  /**
   * Makes each client measure round trips, one at a time, over a channel whose messages come back.
   *
   * @param {{ seconds: number, size: number }} load
   * @returns {Promise<number[]>} the time that each took, in µs.
   */
  async ping(load) {
    return (await this.#all('ping', load)).flat();
  }

  get pids() {
    return this.#hosts.map((host) => host.pid);
  }

  /** Closes the clients, but not their processes. */
  async disconnect() {
    await this.#all('disconnect');
  }

  async close() {
    await Promise.all(this.#hosts.map((host) => host.end()));
  }

  /** Kills the processes, so that the clients do not close their connections. */
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

exports.DatachannelClients = DatachannelClients;
