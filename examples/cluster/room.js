'use strict';

// A room of the demo that reaches over all hosts. What cluster.join() adds to the room of one host:
//
//   a peer of this host produces      room.announce(), with what other hosts show of the peer
//   a peer of another host produces   'dataproducer' → all peers of this host consume it with room.consumeData()
//   a peer or its host is gone        'dataproducergone'; its DataConsumers close by themselves
//
// Each host has its own bot. All hear what a bot says to all, whichever host it is on.

const { MAX_PEERS, Room } = require('../demo/server/rooms');

class ClusterRoom extends Room {
  #host;
  /** The room of datasoup/cluster. */
  #shared;
  /** id → DataProducer of another host */
  #producers = new Map();
  /** id → { peer, ids: those of its DataProducers } */
  #remotePeers = new Map();

  /** `number`: of this host, so that no two peers of a room have the same number. */
  static async join({ cluster, number, name, worker, webRtcServer, onEmpty }) {
    const created = await this.create({ name, worker, webRtcServer, onEmpty });
    const room = /** @type {ClusterRoom} */ (created);
    room.#host = cluster.host;
    room.firstNumber = 1 + number * MAX_PEERS;
    try {
      room.#shared = await cluster.join(room.name, { router: room.router });
    } catch (error) {
      room.close();
      throw error;
    }
    room.#shared.on('dataproducer', (producer) => room.#add(producer));
    room.#shared.on('dataproducergone', ({ id }, reason) => room.#remove(id, reason));
    room.#shared.announce(room.bot.producers[0], { peer: room.bot.describe() });

    return room;
  }

  /** @override */
  describeTo(peer) {
    const { peers, ...others } = super.describeTo(peer);
    const remote = [...this.#remotePeers.values()].map((each) => each.peer);

    return { ...others, peers: [...peers, ...remote] };
  }

  /** @override */
  producersFor(peer) {
    return [...super.producersFor(peer), ...this.#producers.values()];
  }

  /** @override */
  async share(producer, peer) {
    const { id, name, hue } = peer.describe();

    this.#shared.announce(producer, { peer: { id, name: `${name} · ${this.#host}`, hue } });
    await super.share(producer, peer);
  }

  /** @override */
  async consumeData(transport, options) {
    return this.#shared.consumeData(transport, options);
  }

  /** @override */
  close() {
    void this.#shared?.close();
    super.close();
  }

  #add({ id, label, info: { peer } }) {
    const producer = { id, label, closed: false, appData: { peerId: peer.id } };
    const ids = this.#remotePeers.get(peer.id)?.ids ?? new Set();

    this.#producers.set(id, producer);
    // Bots of other hosts speak for the bot of this one.
    if (peer.id !== this.bot.id) {
      if (ids.size === 0) this.broadcast('peerJoined', { peer });
      this.#remotePeers.set(peer.id, { peer, ids: ids.add(id) });
    }
    for (const local of this.peers.values()) {
      local.consume(producer).catch((error) => console.error('Could not consume:', error));
    }
  }

  #remove(id, reason) {
    const producer = this.#producers.get(id);
    const { peerId } = producer.appData;
    const remote = this.#remotePeers.get(peerId);

    producer.closed = true;
    this.#producers.delete(id);
    remote?.ids.delete(id);
    if (remote?.ids.size === 0) {
      this.#remotePeers.delete(peerId);
      this.broadcast('peerLeft', {
        peerId,
        reason: reason === 'lease' ? 'connection lost' : 'left',
      });
    }
  }
}

module.exports = { ClusterRoom };
