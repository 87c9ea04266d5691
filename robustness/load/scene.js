'use strict';

// A worker with a well-behaved client, whose round trips show whether others disturb it.

const { answerOf, dtlsParametersOf } = require('../../examples/sdp');
const { DatachannelClients } = require('../../bench/clients/datachannel');

const LISTEN_INFOS = [
  { protocol: 'udp', ip: '127.0.0.1' },
  { protocol: 'tcp', ip: '127.0.0.1' },
];

/**
 * A worker, and a transport for a client.
 *
 * @param {any} api
 */
async function serverOf(api) {
  const worker = await api.createWorker();
  const router = await worker.createRouter();
  const webRtcServer = await worker.createWebRtcServer({ listenInfos: LISTEN_INFOS });
  const direct = await router.createDirectTransport();
  const transport = await router.createWebRtcTransport({
    webRtcServer,
    enableTcp: true,
    enableSctp: true,
  });

  return { worker, router, webRtcServer, direct, transport };
}

/** The messages of the client go to JavaScript and come back. */
class Scene {
  /** @param {any} api */
  static async create(api) {
    const server = await serverOf(api);
    const { direct, transport } = server;
    const back = await direct.produceData();
    const { sctpStreamParameters } = await transport.consumeData({ dataProducerId: back.id });
    const { streamId } = sctpStreamParameters;
    const { id: dataProducerId } = await transport.produceData({
      sctpStreamParameters: { streamId },
    });

    (await direct.consumeData({ dataProducerId })).on('message', (/** @type {Buffer} */ message) =>
      back.send(message),
    );

    const clients = new DatachannelClients({ count: 1 });
    const [offer] = await clients.offer([streamId]);

    await transport.connect({ dtlsParameters: dtlsParametersOf(offer) });
    await clients.connect([answerOf(transport)]);
    return new Scene({ ...server, elsewhere: await serverOf(api), clients });
  }

  /** @param {any} parts */
  constructor({ worker, router, webRtcServer, direct, transport, elsewhere, clients }) {
    this.worker = worker;
    this.router = router;
    this.webRtcServer = webRtcServer;
    this.direct = direct;
    this.transport = transport;
    /** What has nothing to do with the client but the machine. */
    this.elsewhere = elsewhere;
    /** @type {DatachannelClients} */
    this.clients = clients;
  }

  async close() {
    this.worker.close();
    this.elsewhere.worker.close();
    await this.clients.close();
  }
}

exports.Scene = Scene;
