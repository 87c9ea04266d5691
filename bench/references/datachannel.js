'use strict';

// The reference of the WebRTC rows: the same load on a server of node-datachannel.

const { DatachannelClients } = require('../clients/datachannel');
const { Host } = require('../processes/host');

const PROCESS = require.resolve('./datachannelProcess');

/** A server of node-datachannel in a process of its own, with clients of libdatachannel. */
class DatachannelServer {
  #server = Host.ofNode(PROCESS);
  #streamIds;
  #clients;
  /** @type {string[]} */
  #offers = [];

  /** @param {{ count: number, processes?: number }} options */
  constructor({ count, processes }) {
    this.#streamIds = Array(count).fill(0);
    this.#clients = new DatachannelClients({ count, processes });
  }

  get clients() {
    return this.#clients;
  }

  /** Replaces the clients with new ones, and takes their offers. */
  async offer() {
    await this.#clients.disconnect();
    await this.#server.call('disconnect');
    this.#offers = await this.#clients.offer(this.#streamIds);
  }

  async connect() {
    const answers = await this.#server.call('answer', this.#offers, this.#streamIds);

    await this.#clients.connect(answers);
    await this.#server.call('opened');
  }

  /**
   * Runs a load and adds the CPU time of the server.
   *
   * @param {() => Promise<import('../types').Outcome>} load
   * @returns {Promise<import('../types').Outcome>}
   */
  async measured(load) {
    await this.call('begin');

    const outcome = await load();

    return { ...outcome, cpuMicros: await this.call('cpuMicros') };
  }

  /**
   * Calls a method of the server.
   *
   * @param {string} method - of datachannelProcess.js
   * @param {...any} args
   */
  call(method, ...args) {
    return this.#server.call(method, ...args);
  }

  async close() {
    await this.#clients.close();
    await this.#server.end();
  }
}

exports.DatachannelServer = DatachannelServer;
