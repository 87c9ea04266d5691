'use strict';

// One tab: two WebRtcTransports, the DataProducers of its channels, and DataConsumers of the others'.

const { randomUUID } = require('node:crypto');

const { RequestError } = require('./validate');

const GOLDEN_ANGLE = 137.508;
/** The time that a peer has to reconnect after its ICE state became 'disconnected'. */
const RETURN_MS = 15_000;
/** A connection that takes longer is diagnosed repeatedly. */
const PATIENCE_MS = 3000;

/** The reliability of each channel. Positions of cursors are not retransmitted: the next one replaces a lost one. */
const RELIABILITY = {
  chat: { ordered: true },
  cursor: { ordered: false, maxRetransmits: 0 },
  telemetry: { ordered: false, maxRetransmits: 0 },
};

class Peer {
  id = randomUUID();
  name;
  number;
  notify;
  closed = false;
  #room;
  #onClose;
  /** 'send' | 'recv', as the page names them → WebRtcTransport */
  #transports = new Map();
  /** label → DataProducer */
  #producers = new Map();
  /** id → DataConsumer */
  #consumers = new Map();
  /** Ids of the DataProducers that this peer consumes, or is about to consume. */
  #consumed = new Set();
  #consuming = false;

  constructor({ room, name, number, notify, onClose }) {
    this.#room = room;
    this.name = name;
    this.number = number;
    this.notify = notify;
    this.#onClose = onClose;
  }

  describe() {
    return { id: this.id, name: this.name, hue: Math.round((this.number * GOLDEN_ANGLE) % 360) };
  }

  async createTransport(direction) {
    if (this.#transports.has(direction))
      throw new RequestError(`the ${direction} transport exists already`);

    const transport = await this.#room.router.createWebRtcTransport({
      webRtcServer: this.#room.webRtcServer,
      enableSctp: true,
      appData: { peerId: this.id, direction },
    });
    if (this.closed) return transport.close();

    this.#transports.set(direction, transport);
    this.#watch(transport, direction);

    return {
      id: transport.id,
      iceParameters: transport.iceParameters,
      iceCandidates: transport.iceCandidates,
      dtlsParameters: transport.dtlsParameters,
      sctpParameters: transport.sctpParameters,
    };
  }

  async connectTransport(direction, dtlsParameters) {
    const transport = this.#transport(direction);
    await transport.connect({ dtlsParameters });
    this.#diagnoseUntilConnected(transport, direction);
  }

  async restartIce(direction) {
    return { iceParameters: await this.#transport(direction).restartIce() };
  }

  async produceData({ label, sctpStreamParameters }) {
    if (this.#producers.has(label)) throw new RequestError(`the "${label}" channel exists already`);

    const producer = await this.#transport('send').produceData({
      label,
      sctpStreamParameters,
      appData: { peerId: this.id },
    });
    this.#producers.set(label, producer);

    // The bot answers chat and pings; other peers show chat and cursors.
    if (label !== 'cursor') await this.#room.bot.listen(producer, this);
    if (label !== 'ping') await this.#room.share(producer, this);

    return { id: producer.id };
  }

  /** Consumes the channels of all peers, now and later. */
  async consumeAll() {
    if (this.#consuming) throw new RequestError('this peer consumes already');

    this.#transport('recv');
    this.#consuming = true;
    await Promise.all(this.#room.producersFor(this).map((producer) => this.consume(producer)));
  }

  async consume(producer) {
    if (!this.#consuming || this.closed || producer.closed || this.#consumed.has(producer.id))
      return;

    this.#consumed.add(producer.id);
    let consumer;
    try {
      consumer = await this.#room.consumeData(this.#transport('recv'), {
        dataProducerId: producer.id,
        ...RELIABILITY[producer.label],
        // The bot's messages to all, and those to this peer's number.
        subchannels: [this.number],
        // The consumer stays paused until resumeDataConsumer(), when the page has opened the channel.
        paused: true,
        appData: { peerId: producer.appData.peerId },
      });
    } catch (error) {
      this.#consumed.delete(producer.id);
      // This peer or the producer's peer may have left during the call.
      if (this.closed || producer.closed) return;
      throw error;
    }

    this.#consumers.set(consumer.id, consumer);
    consumer.observer.once('close', () => {
      this.#consumers.delete(consumer.id);
      this.#consumed.delete(producer.id);
    });
    consumer.once('dataproducerclose', () => this.notify('consumerClosed', { id: consumer.id }));
    this.notify('newConsumer', {
      id: consumer.id,
      dataProducerId: consumer.dataProducerId,
      peerId: producer.appData.peerId,
      label: consumer.label,
      protocol: consumer.protocol,
      sctpStreamParameters: consumer.sctpStreamParameters,
    });
  }

  /** Called when the page has opened its end of the channel: messages sent before that would be lost. */
  async resumeDataConsumer(id) {
    const consumer = this.#consumers.get(id);
    // The consumer may have closed, because the producer's peer left. The page gets 'consumerClosed' then.
    if (!consumer) return;

    await consumer.resume();
    this.#room.bot.greet(this, consumer);
  }

  /** For the panel: statistics of this peer's channels, and of the path to its DataConsumers. */
  async getStats() {
    const producers = [...this.#producers.values()].filter(({ closed }) => !closed);
    const consumers = [...this.#consumers.values()];
    const [received, sent, path] = await Promise.all([
      Promise.all(producers.map((producer) => producer.getStats())),
      Promise.all(consumers.map((consumer) => consumer.getStats())),
      this.#transports.get('recv')?.getStats() ?? [],
    ]);
    const sum = (stats, key) => stats.flat().reduce((total, entry) => total + (entry[key] ?? 0), 0);

    return {
      messagesReceived: sum(received, 'messagesReceived'),
      messagesSent: sum(sent, 'messagesSent'),
      messagesDropped: sum(sent, 'messagesDropped'),
      bufferedAmount: sum(sent, 'bufferedAmount'),
      chunksRetransmitted: sum(path, 'sctpChunksRetransmitted'),
      // In milliseconds; undefined until SCTP has measured it.
      roundTripTime: path[0]?.sctpRoundTripTime,
    };
  }

  close(reason) {
    if (this.closed) return;

    this.closed = true;
    for (const transport of this.#transports.values()) transport.close();
    this.#onClose(reason);
  }

  #transport(direction) {
    const transport = this.#transports.get(direction);
    if (!transport) throw new RequestError(`create the ${direction} transport first`);

    return transport;
  }

  /** The DataProducers that other peers consume. */
  sharedProducers() {
    return [...this.#producers.values()].filter(({ label, closed }) => label !== 'ping' && !closed);
  }

  /** Notifies the page every few seconds why the transport is not connected yet, and once when it is. */
  #diagnoseUntilConnected(transport, direction) {
    let notified = false;
    const timer = setInterval(async () => {
      if (transport.sctpState === 'connected') {
        clearInterval(timer);
        if (notified) this.notify('diagnosis', { direction, findings: [] });
        return;
      }

      try {
        const { findings } = await transport.diagnose();
        notified = true;
        this.notify('diagnosis', { direction, findings });
      } catch {
        // The transport closed during the call.
      }
    }, PATIENCE_MS);
    transport.observer.once('close', () => clearInterval(timer));
  }

  /** Notifies the page of each state, and detects a tab that went away without closing its WebSocket. */
  #watch(transport, direction) {
    let returnTimer;
    const report = () => {
      const { iceState, dtlsState, sctpState, iceSelectedTuple } = transport;
      this.notify('transportState', {
        direction,
        iceState,
        dtlsState,
        sctpState,
        iceSelectedTuple,
      });

      if (dtlsState === 'closed' || sctpState === 'closed') this.close('left');
      if (dtlsState === 'failed' || sctpState === 'failed') this.close('connection failed');
    };

    transport.on('dtlsstatechange', report);
    transport.on('sctpstatechange', report);
    transport.on('iceselectedtuplechange', report);
    transport.on('icestatechange', (iceState) => {
      report();
      // When ICE consent has timed out, the page may still reconnect with restartIce(), but only for a while.
      clearTimeout(returnTimer);
      if (iceState === 'disconnected') {
        returnTimer = setTimeout(() => this.close('connection lost'), RETURN_MS);
      }
    });
    transport.once('listenserverclose', () => this.close('server stopped'));
  }
}

module.exports = { Peer };
