'use strict';

// Clients on the server that is measured, and the same clients on the reference.

const { Host, Peers, answerOf, dtlsParametersOf } = require('./peers');

/** One UDP port for all. */
const LISTEN_INFOS = [{ protocol: 'udp', ip: '127.0.0.1' }];

/**
 * The WebRtcTransports of as many clients, and the clients, connected.
 *
 * @param {object} options
 * @param {any} options.worker
 * @param {any} options.router
 * @param {number} options.count
 * @param {number} [options.processes] - of the clients.
 * @param {(transport: any) => Promise<{ streamId: number }>} options.prepare - makes the transport's DataProducer or
 * DataConsumer, and answers its stream parameters.
 * @param {object} [options.transportOptions]
 */
async function connectPeers({ worker, router, count, processes, prepare, transportOptions }) {
  const webRtcServer = await worker.createWebRtcServer({ listenInfos: LISTEN_INFOS });
  const transports = [];
  const streamIds = [];

  for (let index = 0; index < count; index++) {
    const transport = await router.createWebRtcTransport({
      webRtcServer,
      enableSctp: true,
      ...transportOptions,
    });
    const { streamId } = await prepare(transport);

    transports.push(transport);
    streamIds.push(streamId);
  }

  const peers = new Peers({ count, processes });
  const offers = await peers.offer(streamIds);

  await Promise.all(
    transports.map((transport, index) =>
      transport.connect({ dtlsParameters: dtlsParametersOf(offers[index]) }),
    ),
  );
  await peers.connect(transports.map(answerOf));
  return peers;
}

/** The reference: a server of node-datachannel in its own process, with clients like those of the row. */
class DatachannelServer {
  #server = new Host('datachannelServer.js');
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

module.exports = { DatachannelServer, LISTEN_INFOS, connectPeers };
