'use strict';

// References of the cluster's rows with clients: what applications without WebRTC do. Servers in processes of their
// own, behind which clients are connected by WebSockets, and a message bus between the servers.
//
//   socket.io   Socket.IO with its Redis adapter
//   nats        each server subscribes to a subject of NATS, and sends what comes to each of its sockets (ws)

const { BusServer } = require('../../__test__/helpers/cluster/servers');
const { cpuOfProcess } = require('../measure');
const { Host } = require('../processes/host');
const { sum } = require('../statistics');
const { toProcesses } = require('../messages');
const { find } = require('./installed');

const SERVER = require.resolve('./socketsServer');
const CLIENTS = require.resolve('./socketsClients');

/** What Socket.IO needs. Its rows are left out without. */
const SOCKET_IO = ['socket.io', 'socket.io-client', '@socket.io/redis-adapter'];

const hasSocketIo = () => SOCKET_IO.every((name) => find(name) !== undefined);

/**
 * @param {object} options
 * @param {'socket.io' | 'nats'} options.kind
 * @param {number} options.hosts
 * @param {number} options.clients - of each host.
 * @param {import('./pipes').DeliverLoad} options.load
 * @returns {Promise<import('../types').Reference>}
 */
async function sockets({ kind, hosts, clients, load }) {
  const bus = await BusServer.start(kind === 'nats' ? 'nats' : 'redis');

  // The bus ends with this process.
  process.once('exit', () => void bus.kill());

  const servers = Array.from({ length: hosts }, () => Host.ofNode(SERVER));
  const fleets = servers.map(() => Host.ofNode(CLIENTS));

  for (const [index, server] of servers.entries()) {
    const port = await server.call('start', kind, bus.port);

    await fleets[index].call('connect', kind, port, clients);
  }

  const cpu = () => cpuOfProcess(bus.pid) + sum(servers.map((server) => server.cpuMicros));

  return {
    name: kind === 'nats' ? 'NATS and ws' : 'Socket.IO, Redis adapter',
    async run() {
      await Promise.all(fleets.map((fleet) => fleet.call('ready', load.perSecond !== undefined)));

      const before = cpu();
      const outcome = await toProcesses(load, {
        paced: () => servers[0].call('broadcast', load),
        burst: (from, to) => servers[0].call('burst', { from, to, size: load.size }),
        received: (count) =>
          fleets.map(async (fleet) => ({
            ...(await fleet.call('received', count)),
            latencies: () => fleet.call('latencies'),
          })),
      });

      return { ...outcome, cpuMicros: cpu() - before };
    },
    async close() {
      await Promise.all([...fleets, ...servers].map((each) => each.end()));
      await bus.kill();
    },
  };
}

exports.hasSocketIo = hasSocketIo;
exports.sockets = sockets;
