// One stay in a room, with mediasoup-client: a transport to send, a transport to receive, three outgoing channels, and
// an incoming channel for each of the other peers' and the bot's.
//
//   out   chat       ordered, reliable            in   chat, cursor   of each other peer
//         cursor     unordered, not resent             chat           of the bot
//         ping       unordered, not resent             telemetry      of the bot, to this peer only

import { Device } from 'mediasoup-client';
import { Signalling } from './signalling.js';

const LOSSY = { ordered: false, maxRetransmits: 0 };
const CHANNELS = [
  { label: 'chat', ordered: true },
  { label: 'cursor', ...LOSSY },
  { label: 'ping', ...LOSSY },
];

export class Session {
  #signalling;
  #handlers;
  #device;
  #sendTransport;
  #recvTransport;
  /** label → DataProducer */
  #producers = new Map();
  /** id → DataConsumer */
  #consumers = new Map();
  /** New and closed consumers are handled one at a time, in order. */
  #turn = Promise.resolve();

  /**
   * `handlers`: joined(room), peerJoined(peer), peerLeft(peerId, reason),
   * message(label, peerId, object), sent(label), states(direction, states), diagnosis(direction, findings), closed().
   */
  static async join({ url, room, name, handlers }) {
    const session = new Session(await Signalling.open(url), handlers);
    try {
      await session.#join(room, name);
    } catch (error) {
      session.close();
      throw error;
    }

    return session;
  }

  constructor(signalling, handlers) {
    this.#signalling = signalling;
    this.#handlers = handlers;
    signalling.onnotification = (event, data) => this.#onNotification(event, data);
    signalling.onclose = () => {
      this.#closeTransports();
      handlers.closed();
    };
  }

  /** Bytes queued in the browser on the outgoing channels. */
  get bufferedAmount() {
    let amount = 0;
    for (const { bufferedAmount } of this.#producers.values()) amount += bufferedAmount;

    return amount;
  }

  /** Returns whether the channel was open. */
  send(label, message) {
    const producer = this.#producers.get(label);
    if (producer?.readyState !== 'open') return false;

    producer.send(JSON.stringify(message));
    this.#handlers.sent(label);

    return true;
  }

  close() {
    this.#closeTransports();
    this.#signalling.close();
  }

  async #join(room, name) {
    const joined = await this.#signalling.request('join', { room, name });
    this.#handlers.joined(joined);

    this.#device = await Device.factory();
    await this.#device.load({ routerRtpCapabilities: joined.routerRtpCapabilities });
    this.#sendTransport = await this.#createTransport('send');
    this.#recvTransport = await this.#createTransport('recv');

    await this.#signalling.request('consumeAll');
    for (const channel of CHANNELS) {
      const producer = await this.#sendTransport.produceData(channel);
      this.#producers.set(channel.label, producer);
    }
  }

  async #createTransport(direction) {
    const options = await this.#signalling.request('createTransport', { direction });
    const transport =
      direction === 'send'
        ? this.#device.createSendTransport(options)
        : this.#device.createRecvTransport(options);

    transport.on('connect', ({ dtlsParameters }, done, fail) => {
      this.#signalling.request('connectTransport', { direction, dtlsParameters }).then(done, fail);
    });
    transport.on('producedata', ({ label, sctpStreamParameters }, done, fail) => {
      this.#signalling.request('produceData', { label, sctpStreamParameters }).then(done, fail);
    });
    transport.on('connectionstatechange', (browser) => {
      this.#handlers.states(direction, { browser });
      if (browser === 'failed') this.#restartIce(transport, direction);
    });

    return transport;
  }

  async #restartIce(transport, direction) {
    try {
      await transport.restartIce(await this.#signalling.request('restartIce', { direction }));
    } catch {
      // The server does not answer, or has closed this peer.
      this.close();
    }
  }

  #onNotification(event, data) {
    switch (event) {
      case 'peerJoined':
        return this.#handlers.peerJoined(data.peer);
      case 'peerLeft':
        return this.#handlers.peerLeft(data.peerId, data.reason);
      case 'transportState': {
        const { direction, ...states } = data;
        return this.#handlers.states(direction, states);
      }
      case 'diagnosis':
        return this.#handlers.diagnosis(data.direction, data.findings);
      case 'newConsumer':
        return this.#inTurn(() => this.#consume(data));
      case 'consumerClosed':
        return this.#inTurn(() => this.#consumers.get(data.id)?.close());
      default:
        // A newer server may send events that this page does not know.
        return undefined;
    }
  }

  #inTurn(task) {
    this.#turn = this.#turn.then(task).catch((error) => {
      if (!this.#recvTransport?.closed) console.error(error);
    });
  }

  async #consume({ peerId, ...options }) {
    const consumer = await this.#recvTransport.consumeData(options);
    this.#consumers.set(consumer.id, consumer);
    consumer.observer.once('close', () => this.#consumers.delete(consumer.id));

    consumer.on('message', (data) => {
      const message = parse(data);
      if (message) this.#handlers.message(consumer.label, peerId, message);
    });

    // The DataConsumer is paused until then: browsers drop messages of channels that they have not opened yet.
    const resume = () => {
      this.#signalling.request('resumeDataConsumer', { id: consumer.id }).catch(() => {});
    };
    if (consumer.readyState === 'open') resume();
    else consumer.once('open', resume);
  }

  #closeTransports() {
    this.#sendTransport?.close();
    this.#recvTransport?.close();
  }
}

/** The JSON object in a message, or undefined if there is none: other peers may send anything. */
function parse(data) {
  try {
    const message = JSON.parse(data);
    return typeof message === 'object' && message !== null ? message : undefined;
  } catch {
    return undefined;
  }
}
