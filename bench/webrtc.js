'use strict';

// Clients on the server that is measured, and the same clients on the reference.

const { Host } = require('./host');
const { LightPeers } = require('./lightPeers');
const { Peers } = require('./peers');

/** One UDP port for all. */
const LISTEN_INFOS = [{ protocol: 'udp', ip: '127.0.0.1' }];

/**
 * Clients, in processes of their own.
 *
 * @param {object} options
 * @param {number} options.count
 * @param {boolean} [options.light] - those of clients/, else of libdatachannel.
 * @param {number} [options.processes] - of libdatachannel.
 */
function makePeers({ count, light, processes }) {
  return light ? new LightPeers() : new Peers({ count, processes });
}

/**
 * The WebRtcTransports of as many clients, and the clients, connected.
 *
 * @param {object} options
 * @param {any} options.worker
 * @param {any} options.router
 * @param {number} options.count
 * @param {boolean} [options.light]
 * @param {number} [options.processes] - of the clients.
 * @param {object} [options.transportOptions]
 * @param {(transport: any) => Promise<number | number[]>} options.prepare - makes the transport's DataProducer or
 * DataConsumer, and answers the number of its stream; or several, if the clients are light.
 */
async function connectPeers({
  worker,
  router,
  count,
  light,
  processes,
  transportOptions,
  prepare,
}) {
  const webRtcServer = await worker.createWebRtcServer({ listenInfos: LISTEN_INFOS });
  const transports = [];
  const streamIds = [];

  for (let index = 0; index < count; index++) {
    const transport = await router.createWebRtcTransport({
      webRtcServer,
      enableSctp: true,
      ...transportOptions,
    });

    transports.push(transport);
    streamIds.push(await prepare(transport));
  }

  const peers = makePeers({ count, light, processes });
  const dtlsParameters = await peers.dtlsParameters(/** @type {number[]} */ (streamIds));

  await Promise.all(
    transports.map((transport, index) =>
      transport.connect({ dtlsParameters: dtlsParameters[index] }),
    ),
  );
  await peers.connectTo(transports);
  return peers;
}

/**
 * Does a load, and adds what it cost the clients, for each item in µs.
 *
 * @param {{ cpuMicros: number }} peers
 * @param {() => Promise<import('./harness').Outcome>} load
 * @returns {Promise<import('./harness').Outcome>}
 */
async function withClientCpu(peers, load) {
  const before = peers.cpuMicros;
  const outcome = await load();
  const clientCpu = (peers.cpuMicros - before) / outcome.items;

  return { ...outcome, figures: { ...outcome.figures, clientCpu } };
}

/** The reference: a server of node-datachannel in its own process, with clients like those of the row. */
class DatachannelServer {
  #server = Host.ofNode('datachannelServer.js');
  #streamIds;
  #peers;
  /** @type {string[]} */
  #offers = [];

  /** @param {{ count: number, processes?: number }} options */
  constructor({ count, processes }) {
    this.#streamIds = Array(count).fill(0);
    this.#peers = new Peers({ count, processes });
  }

  get peers() {
    return this.#peers;
  }

  /** Has new clients offer; those before are gone. */
  async offer() {
    await this.#peers.disconnect();
    await this.#server.call('disconnect');
    this.#offers = await this.#peers.offer(this.#streamIds);
  }

  async connect() {
    const answers = await this.#server.call('answer', this.#offers, this.#streamIds);

    await this.#peers.connect(answers);
    await this.#server.call('opened');
  }

  /**
   * Does a load, and adds what it cost the server.
   *
   * @param {() => Promise<import('./harness').Outcome>} load
   * @returns {Promise<import('./harness').Outcome>}
   */
  async measured(load) {
    await this.call('begin');

    const outcome = await load();
    const { cpuMicros } = await this.call('usage');

    return { ...outcome, cpuMicros };
  }

  /**
   * Asks the server for something.
   *
   * @param {string} method - of datachannelServer.js
   * @param {...any} args
   */
  call(method, ...args) {
    return this.#server.call(method, ...args);
  }

  async close() {
    await this.#peers.close();
    await this.#server.end();
  }
}

exports.DatachannelServer = DatachannelServer;
exports.LISTEN_INFOS = LISTEN_INFOS;
exports.connectPeers = connectPeers;
exports.makePeers = makePeers;
exports.withClientCpu = withClientCpu;
