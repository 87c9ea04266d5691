'use strict';

// Rooms by name. A room is a Router, a bot and peers; it opens for the first peer and closes after the last.

const { Bot } = require('../bot');
const { Peer } = require('./peer');
const { RequestError } = require('./validate');

const MAX_ROOMS = 100;
const MAX_PEERS = 24;
const TELEMETRY_MS = 1000;

class Rooms {
  #worker;
  #webRtcServer;
  #createRoom;
  /** name → Promise of a Room, which peers that join at the same time share. */
  #rooms = new Map();

  constructor({ worker, webRtcServer, createRoom = (options) => Room.create(options) }) {
    this.#worker = worker;
    this.#webRtcServer = webRtcServer;
    this.#createRoom = createRoom;
  }

  async open(name) {
    for (;;) {
      if (!this.#rooms.has(name)) this.#create(name);

      const room = await this.#rooms.get(name);
      // The room closed because its last peer left: try again with a new room.
      if (!room.closed) return room;
    }
  }

  closeIfEmpty(room) {
    if (room.closed || room.peers.size > 0) return;

    this.#rooms.delete(room.name);
    room.close();
  }

  #create(name) {
    if (this.#rooms.size >= MAX_ROOMS) throw new RequestError('too many rooms');

    const room = this.#createRoom({
      name,
      worker: this.#worker,
      webRtcServer: this.#webRtcServer,
      onEmpty: (empty) => this.closeIfEmpty(empty),
    });
    this.#rooms.set(name, room);
    room.catch(() => this.#rooms.delete(name));
  }
}

class Room {
  name;
  router;
  webRtcServer;
  bot;
  /** peer id → Peer */
  peers = new Map();
  closed = false;
  firstNumber = 1;
  #onEmpty;
  #telemetry;
  #asking = false;

  static async create({ name, worker, webRtcServer, onEmpty }) {
    const router = await worker.createRouter({ appData: { room: name } });
    const bot = await Bot.create({ router, worker });

    return new this({ name, router, webRtcServer, bot, onEmpty });
  }

  constructor({ name, router, webRtcServer, bot, onEmpty }) {
    this.name = name;
    this.router = router;
    this.webRtcServer = webRtcServer;
    this.bot = bot;
    this.#onEmpty = onEmpty;
    this.#telemetry = setInterval(() => this.#sendTelemetry(), TELEMETRY_MS);
  }

  add({ name, notify, onClose }) {
    if (this.peers.size >= MAX_PEERS) throw new RequestError('the room is full');

    const peer = new Peer({
      room: this,
      name,
      number: this.#freeNumber(),
      notify,
      onClose: (reason) => {
        this.peers.delete(peer.id);
        this.broadcast('peerLeft', { peerId: peer.id, reason });
        onClose();
        this.#onEmpty(this);
      },
    });
    this.broadcast('peerJoined', { peer: peer.describe() });
    this.peers.set(peer.id, peer);

    return peer;
  }

  describeTo(peer) {
    return {
      room: this.name,
      you: peer.describe(),
      bot: this.bot.describe(),
      peers: this.othersThan(peer).map((other) => other.describe()),
      routerRtpCapabilities: this.router.rtpCapabilities,
    };
  }

  /** What a peer consumes: the bot's DataProducers and those of the others. */
  producersFor(peer) {
    const others = this.othersThan(peer).flatMap((other) => other.sharedProducers());

    return [...this.bot.producers, ...others];
  }

  /** Lets the others consume a peer's DataProducer. */
  async share(producer, peer) {
    await Promise.all(this.othersThan(peer).map((other) => other.consume(producer)));
  }

  /** Makes a DataConsumer of one of `producersFor()`. */
  async consumeData(transport, options) {
    return transport.consumeData(options);
  }

  othersThan(peer) {
    return [...this.peers.values()].filter((other) => other !== peer);
  }

  broadcast(event, data) {
    for (const peer of this.peers.values()) peer.notify(event, data);
  }

  close() {
    this.closed = true;
    clearInterval(this.#telemetry);
    this.bot.close();
    this.router.close();
  }

  /** The lowest free number: it selects the peer's colour and is its subchannel. */
  #freeNumber() {
    const taken = new Set([...this.peers.values()].map(({ number }) => number));
    let number = this.firstNumber;
    while (taken.has(number)) number += 1;

    return number;
  }

  async #sendTelemetry() {
    if (this.#asking) return;

    this.#asking = true;
    for (const peer of this.peers.values()) {
      try {
        const stats = await peer.getStats();
        if (!peer.closed) this.bot.sendStats(peer, stats);
      } catch (error) {
        // The peer, one of its channels or, when the server ends, the Worker may have closed.
        if (!['NotFoundError', 'WorkerClosedError'].includes(error.name)) {
          console.error('Could not get statistics:', error);
        }
      }
    }
    this.#asking = false;
  }
}

module.exports = { MAX_PEERS, Room, Rooms };
