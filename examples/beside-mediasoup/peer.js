'use strict';

// One page: a pair of transports of each library, what it produces, and what it consumes of the other pages.
//
//   page → server   { id, method, … }          server → page   { id, result } | { id, error } | { event, … }

/** What differs between the two libraries, by kind. */
const KINDS = {
  video: {
    produce: (transport, { rtpParameters }) => transport.produce({ kind: 'video', rtpParameters }),
    canConsume: (router, producer, rtpCapabilities) =>
      router.canConsume({ producerId: producer.id, rtpCapabilities }),
    consume: (transport, producer, rtpCapabilities) =>
      transport.consume({ producerId: producer.id, rtpCapabilities, paused: true }),
    describe: ({ producerId, rtpParameters }) => ({ producerId, kind: 'video', rtpParameters }),
    closed: 'producerclose',
  },
  data: {
    produce: (transport, { sctpStreamParameters }) =>
      transport.produceData({ sctpStreamParameters }),
    canConsume: () => true,
    consume: (transport, producer) =>
      transport.consumeData({ dataProducerId: producer.id, paused: true }),
    describe: ({ dataProducerId, sctpStreamParameters }) => ({
      dataProducerId,
      sctpStreamParameters,
    }),
    closed: 'dataproducerclose',
  },
};

class Peer {
  #socket;
  #soups;
  #peers;
  #isStub;
  /** 'video send', 'video recv', 'data send', 'data recv' → transport */
  #transports = new Map();
  /** kind → producer */
  #producers = new Map();
  /** id → consumer */
  #consumers = new Map();
  /** The device's, once it is ready to consume. */
  #rtpCapabilities;

  /** `soups`: { video, data }, each with a router and a webRtcServer; `peers`: all peers, this one included. */
  constructor({ socket, soups, peers, isStub }) {
    this.#socket = socket;
    this.#soups = soups;
    this.#peers = peers;
    this.#isStub = isStub;
    // One request at a time, so that requests of one page cannot race.
    let turn = Promise.resolve();
    socket.on('message', (message) => (turn = turn.then(() => this.#answer(message))));
  }

  close() {
    this.#peers.delete(this);
    for (const transport of this.#transports.values()) transport.close();
  }

  async #answer(message) {
    let id;
    try {
      const request = JSON.parse(message);
      id = request.id;
      const method = Object.hasOwn(this.#methods, request.method) && this.#methods[request.method];
      if (!method) throw new TypeError(`there is no method ${request.method}`);
      this.#send({ id, result: (await method(request)) ?? {} });
    } catch (error) {
      this.#send({ id, error: error.message });
    }
  }

  #methods = {
    join: () => ({
      // mediasoup's: the Device needs its codecs.
      routerRtpCapabilities: this.#soups.video.router.rtpCapabilities,
      isStub: this.#isStub,
    }),

    createTransport: async ({ kind, direction }) => {
      const { router, webRtcServer } = this.#soups[kind];
      const transport = await router.createWebRtcTransport({
        webRtcServer,
        enableSctp: kind === 'data',
      });
      this.#transports.set(`${kind} ${direction}`, transport);
      if (!this.#peers.has(this)) transport.close();
      const { id, iceParameters, iceCandidates, dtlsParameters, sctpParameters } = transport;

      return { id, iceParameters, iceCandidates, dtlsParameters, sctpParameters };
    },

    connect: ({ kind, direction, dtlsParameters }) =>
      this.#transport(kind, direction).connect({ dtlsParameters }),

    produce: async ({ kind, ...parameters }) => {
      const producer = await KINDS[kind].produce(this.#transport(kind, 'send'), parameters);
      this.#producers.set(kind, producer);
      await Promise.all([...this.#peers].map((peer) => peer.#consume(kind, this)));

      return { id: producer.id };
    },

    ready: async ({ rtpCapabilities }) => {
      this.#rtpCapabilities = rtpCapabilities;
      // What others produce from now on, they offer to this peer themselves.
      const offers = [...this.#peers].flatMap((peer) =>
        [...peer.#producers.keys()].map((kind) => ({ kind, peer })),
      );
      await Promise.all(offers.map(({ kind, peer }) => this.#consume(kind, peer)));
    },

    // The page has its end of the consumer: from now on it misses nothing.
    resume: ({ consumerId }) => this.#consumers.get(consumerId)?.resume(),
  };

  async #consume(kind, from) {
    if (!this.#rtpCapabilities || from === this) return;

    const producer = from.#producers.get(kind);
    const { router } = this.#soups[kind];
    const { canConsume, consume, describe, closed } = KINDS[kind];
    if (!canConsume(router, producer, this.#rtpCapabilities)) return;

    let consumer;
    try {
      consumer = await consume(this.#transport(kind, 'recv'), producer, this.#rtpCapabilities);
    } catch (error) {
      // Either page may have closed in the meantime.
      if (producer.closed || !this.#peers.has(this)) return;
      throw error;
    }
    this.#consumers.set(consumer.id, consumer);
    consumer.observer.once('close', () => this.#consumers.delete(consumer.id));
    consumer.once(closed, () => this.#send({ event: 'consumerClosed', consumerId: consumer.id }));
    this.#send({ event: 'newConsumer', kind, options: { id: consumer.id, ...describe(consumer) } });
  }

  #transport(kind, direction) {
    const transport = this.#transports.get(`${kind} ${direction}`);
    if (!transport) throw new TypeError(`there is no transport to ${direction} ${kind}`);

    return transport;
  }

  #send(message) {
    if (this.#socket.readyState === this.#socket.OPEN) this.#socket.send(JSON.stringify(message));
  }
}

module.exports = { Peer };
