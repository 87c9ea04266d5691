'use strict';

// PipeTransports that are connected by hand, as applications do without datasoup/cluster.

const { allReceived, paced, Receiver, sinceStamp, stream } = require('../messages');
const { installed } = require('./installed');

const MEGABYTE = 1024 * 1024;
const LISTEN = { protocol: 'udp', ip: '127.0.0.1' };
const SCTP = {
  enableSctp: true,
  sctpSendBufferSize: 64 * MEGABYTE,
  sctpPerStreamSendQueueLimit: 64 * MEGABYTE,
};

/**
 * Pipes the DataProducer to the other router over SCTP on loopback UDP.
 *
 * @param {any} producer
 * @param {any} near
 * @param {any} far
 * @param {object} [more] - options of both PipeTransports.
 */
async function overUdp(producer, near, far, more = {}) {
  const options = { listenInfo: LISTEN, ...SCTP, ...more };
  const [out, back] = await Promise.all([
    near.createPipeTransport(options),
    far.createPipeTransport(options),
  ]);
  const address = (/** @type {any} */ { tuple, dtlsParameters }, /** @type {string} */ role) => ({
    ip: tuple.localAddress ?? tuple.localIp,
    port: tuple.localPort,
    dtlsParameters: dtlsParameters && { ...dtlsParameters, role },
  });

  await Promise.all([out.connect(address(back, 'server')), back.connect(address(out, 'client'))]);

  const consumer = await out.consumeData({ dataProducerId: producer.id });

  return back.produceData({
    id: producer.id,
    sctpStreamParameters: consumer.sctpStreamParameters,
    label: consumer.label,
    protocol: consumer.protocol,
  });
}

/** @typedef {{ count: number, size: number, perSecond?: number }} DeliverLoad Without `perSecond`, as fast as it goes. */

/**
 * Sends numbered messages to all receivers.
 *
 * @param {{ send(message: Buffer): void }} producer
 * @param {Receiver[]} receivers
 * @param {DeliverLoad} load
 * @returns {Promise<import('../types').Outcome>}
 */
async function deliver(producer, receivers, { count, size, perSecond }) {
  const send = (/** @type {Buffer} */ message) => producer.send(message);

  if (perSecond === undefined) {
    return stream({ send, receivers, count, size });
  }

  /** @type {number[]} */
  const latencies = [];

  receivers.forEach((receiver) => receiver.reset((message) => latencies.push(sinceStamp(message))));

  const received = allReceived(receivers, count);

  await paced({ send, count, size, perSecond });
  return { ...(await received), latencies };
}

/**
 * A direct DataProducer, piped without encryption to DataConsumers behind so many other workers: of mediasoup if it is
 * installed, of the module under test otherwise.
 *
 * @param {any} api - the module under test.
 * @param {number} hosts
 * @param {DeliverLoad} load
 * @returns {Promise<import('../types').Reference>}
 */
async function pipesByHand(api, hosts, load) {
  const mediasoup = installed('mediasoup');
  const { createWorker } = mediasoup ?? api;
  const near = await createWorker();
  const router = await near.createRouter();
  const producer = await (await router.createDirectTransport()).produceData();
  const workers = [near];
  /** @type {Receiver[]} */
  const receivers = [];

  for (let host = 0; host < hosts; host += 1) {
    const worker = await createWorker();
    const far = await worker.createRouter();
    const { id: dataProducerId } = await overUdp(producer, router, far);
    const transport = await far.createDirectTransport();

    workers.push(worker);
    receivers.push(Receiver.of(await transport.consumeData({ dataProducerId })));
  }
  return {
    name: mediasoup ? 'mediasoup, pipes by hand' : 'pipes by hand, no DTLS',
    workers,
    run: () => deliver(producer, receivers, load),
    close: () => workers.forEach((worker) => worker.close()),
  };
}

exports.LISTEN = LISTEN;
exports.SCTP = SCTP;
exports.deliver = deliver;
exports.overUdp = overUdp;
exports.pipesByHand = pipesByHand;
