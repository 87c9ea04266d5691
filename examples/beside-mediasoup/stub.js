'use strict';

// Stands in for mediasoup where it is not installed. It gives the answers that signalling needs, has no sockets, and
// passes no media: videos stay black.

const { randomBytes, randomUUID } = require('node:crypto');
const { EventEmitter } = require('node:events');

const VP8 = {
  kind: 'video',
  mimeType: 'video/VP8',
  clockRate: 90_000,
  parameters: {},
  rtcpFeedback: [],
};
const PAYLOAD_TYPE = 101;
/** The port of `discard`: nothing answers there. */
const NOWHERE = { ip: '127.0.0.1', address: '127.0.0.1', port: 9 };

class Entity extends EventEmitter {
  id = randomUUID();
  closed = false;
  observer = new EventEmitter();

  close() {
    if (this.closed) return;

    this.closed = true;
    this.observer.emit('close');
  }
}

class Consumer extends Entity {
  kind = 'video';

  constructor(producer, mid) {
    super();
    this.producerId = producer.id;
    this.rtpParameters = {
      mid,
      codecs: [{ ...VP8, payloadType: PAYLOAD_TYPE }],
      headerExtensions: [],
      encodings: [{ ssrc: randomBytes(4).readUInt32BE() }],
      rtcp: { cname: producer.id, reducedSize: true },
    };
    producer.observer.once('close', () => {
      this.emit('producerclose');
      this.close();
    });
  }

  async resume() {}
}

class WebRtcTransport extends Entity {
  iceParameters = { usernameFragment: 'stub', password: 'stub-stub-stub-stub-stub', iceLite: true };
  iceCandidates = [{ foundation: 'stub', priority: 1, protocol: 'udp', type: 'host', ...NOWHERE }];
  dtlsParameters = {
    role: 'auto',
    fingerprints: [{ algorithm: 'sha-256', value: Array(32).fill('00').join(':') }],
  };
  #producers;
  #consumers = 0;

  constructor(producers) {
    super();
    this.#producers = producers;
  }

  async connect() {}

  async produce() {
    const producer = new Entity();
    this.#producers.set(producer.id, producer);
    this.observer.once('close', () => producer.close());

    return producer;
  }

  async consume({ producerId }) {
    const consumer = new Consumer(this.#producers.get(producerId), String(this.#consumers));
    this.#consumers += 1;
    this.observer.once('close', () => consumer.close());

    return consumer;
  }
}

class Router extends Entity {
  rtpCapabilities = {
    codecs: [{ ...VP8, preferredPayloadType: PAYLOAD_TYPE }],
    headerExtensions: [],
  };
  /** id → producer */
  #producers = new Map();

  canConsume({ producerId }) {
    return this.#producers.has(producerId);
  }

  async createWebRtcTransport() {
    return new WebRtcTransport(this.#producers);
  }
}

class Worker extends Entity {
  async createRouter() {
    return new Router();
  }

  async createWebRtcServer() {
    return new Entity();
  }
}

exports.createWorker = async () => new Worker();
