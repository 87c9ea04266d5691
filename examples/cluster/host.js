'use strict';

// One host: the server of the demo, with rooms that it shares with the other hosts. server.js starts three of them; on
// machines of their own they would get their environment from what deploys them.

const { WebSocketServer } = require('ws');

const datasoup = require('../..');
const { createCluster } = require('../../subpaths/cluster');
const { readConfig, urlsFor } = require('../demo/server/config');
const { buildPage } = require('../demo/server/page');
const { Rooms } = require('../demo/server/rooms');
const { handleSocket, MAX_MESSAGE_BYTES } = require('../demo/server/signalling');
const { createWebRtcServer, startHttp } = require('../demo/server/start');
const { connectBus } = require('./bus');
const { ClusterRoom } = require('./room');

async function main() {
  const { BUS_URL, CLUSTER_SECRET, HOST_NAME, HOST_NUMBER, CLUSTER_IP = '127.0.0.1' } = process.env;
  const config = readConfig(process.env);
  const { bus, close } = await connectBus(BUS_URL);
  const cluster = await createCluster({
    bus,
    secret: CLUSTER_SECRET,
    host: HOST_NAME,
    // Other hosts send to this address, on a port of its own for each.
    listenInfo: { protocol: 'udp', ip: CLUSTER_IP },
  });
  const [page, worker] = await Promise.all([buildPage(), datasoup.createWorker()]);

  const server = await startHttp(config, page);
  const webRtcServer = await createWebRtcServer(config, worker);
  const rooms = new Rooms({
    worker,
    webRtcServer,
    createRoom: (options) => ClusterRoom.join({ ...options, cluster, number: Number(HOST_NUMBER) }),
  });
  const sockets = new WebSocketServer({ server, maxPayload: MAX_MESSAGE_BYTES });
  sockets.on('connection', (socket) => handleSocket(socket, rooms));

  cluster.on('hostup', (host) => console.log(`  ${HOST_NAME} sees ${host}`));
  cluster.on('hostdown', (host, why) => console.log(`  ${HOST_NAME} lost ${host}: ${why}`));
  cluster.on('busdown', () => console.log(`  ${HOST_NAME} has no bus; messages go on`));
  cluster.on('busup', () => console.log(`  ${HOST_NAME} has the bus again`));

  // The Cluster is closed, and what starts hosts has to start this one again.
  const onEnd = (/** @type {string} */ why) => {
    console.error(`${HOST_NAME} is out of the cluster: ${why}`);
    process.exit(1);
  };
  cluster.on('died', (error) => onEnd(error.message));
  cluster.on('fenced', () => onEnd('a newer process uses its name'));

  // Others have what was sent to them before this host is gone.
  let leaving;
  const leave = async () => {
    await cluster.close();
    await close();
    worker.once('subprocessclose', () => process.exit(0));
    worker.close();
  };
  const stop = () => (leaving ??= leave());
  process.on('SIGTERM', stop);
  // Ctrl+C reaches all processes of the terminal: server.js passes it on as SIGTERM.
  process.on('SIGINT', () => {});
  // Without server.js there is no bus.
  process.on('disconnect', stop);

  const { port } = /** @type {import('node:net').AddressInfo} */ (server.address());
  process.send({ url: urlsFor(config, port).local });
}

main().catch((error) => {
  console.error(`${process.env.HOST_NAME} could not start: ${error.message}`);
  process.exit(1);
});
