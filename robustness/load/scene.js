'use strict';

// A worker with a well-behaved client, whose round trips show whether others disturb it.

const { answerOf, dtlsParametersOf } = require('../../examples/sdp');
const { DatachannelClients } = require('../../bench/clients/datachannel');

const LISTEN_INFOS = [
  { protocol: 'udp', ip: '127.0.0.1' },
  { protocol: 'tcp', ip: '127.0.0.1' },
];

/** The messages of the client go to JavaScript and come back. */
class Scene {
  /** @param {any} api */
  static async create(api) {
    const worker = await api.createWorker();
    const router = await worker.createRouter();
    const webRtcServer = await worker.createWebRtcServer({ listenInfos: LISTEN_INFOS });
    const direct = await router.createDirectTransport();
    const transport = await router.createWebRtcTransport({
      webRtcServer,
      enableTcp: true,
      enableSctp: true,
    });
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
    return new Scene({ worker, router, webRtcServer, direct, transport, clients });
  }

  /** @param {any} parts */
  constructor({ worker, router, webRtcServer, direct, transport, clients }) {
    this.worker = worker;
    this.router = router;
    this.webRtcServer = webRtcServer;
    this.direct = direct;
    this.transport = transport;
    /** @type {DatachannelClients} */
    this.clients = clients;
  }

  async close() {
    this.worker.close();
    await this.clients.close();
  }
}

exports.Scene = Scene;
