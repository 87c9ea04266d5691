'use strict';

// Connects clients to the server under test.

const { DatachannelClients } = require('./datachannel');
const { LightClients } = require('./light');

/** One UDP port for all clients. */
const LISTEN_INFOS = [{ protocol: 'udp', ip: '127.0.0.1' }];

/**
 * Clients in processes of their own.
 *
 * @param {object} options
 * @param {number} options.count
 * @param {boolean} [options.light] - clients of light/ instead of libdatachannel.
 * @param {number} [options.processes] - for clients of libdatachannel.
 */
function makeClients({ count, light, processes }) {
  return light ? new LightClients() : new DatachannelClients({ count, processes });
}

/**
 * Makes WebRtcTransports and as many clients, and connects them.
 *
 * @param {object} options
 * @param {any} options.worker
 * @param {any} options.router
 * @param {number} options.count
 * @param {boolean} [options.light]
 * @param {number} [options.processes]
 * @param {object} [options.transportOptions]
 * @param {(transport: any) => Promise<number | number[]>} options.prepare - makes the transport's DataProducer or
 * DataConsumer and returns its stream id; or several, for light clients.
 */
async function connectClients({
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

  const clients = makeClients({ count, light, processes });
  const dtlsParameters = await clients.dtlsParameters(/** @type {number[]} */ (streamIds));

  await Promise.all(
    transports.map((transport, index) =>
      transport.connect({ dtlsParameters: dtlsParameters[index] }),
    ),
  );
  await clients.connectTo(transports);
  return clients;
}

/**
 * Runs a load and adds the CPU time of the clients, in µs per item.
 *
 * @param {{ cpuMicros: number }} clients
 * @param {() => Promise<import('../types').Outcome>} load
 * @returns {Promise<import('../types').Outcome>}
 */
async function withClientCpu(clients, load) {
  const before = clients.cpuMicros;
  const outcome = await load();
  const clientCpu = (clients.cpuMicros - before) / outcome.items;

  return { ...outcome, figures: { ...outcome.figures, clientCpu } };
}

exports.LISTEN_INFOS = LISTEN_INFOS;
exports.connectClients = connectClients;
exports.makeClients = makeClients;
exports.withClientCpu = withClientCpu;
