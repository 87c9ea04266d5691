'use strict';

// The other hosts: which incarnation of each is believed, what has been heard of it last, and when it is gone.
//
//   unknown → heard → confirmed → gone
//
// A message from an unknown epoch makes a Peer that is only heard: what it says changes nothing until it has answered
// a nonce, so recordings bring no host back. A higher epoch replaces a lower one once it is confirmed itself. Of each peer
// and subject the last counter is kept, and what is not above it is a replay.
//
// Silence is counted in ticks of this host, while it hears its own beats: neither a pause of this process nor the loss of
// its bus link is the silence of others. A peer is gone when its beats and its pipes are silent for a lease.
//
// Beats are numbered: a gap says that messages of the bus were lost. Beats of a peer that is gone by lease are listened to
// for some time, so that both sides of a partition of the bus meet again as soon as it is over.
//
// This host is a peer of its own, so that its own beats are checked like all others, and that another process of its
// name is found.

const { Refusal } = require('./envelope');

/** How many beats a lease has. */
const BEATS = 5;

/** After how many of its own beats that do not come back a host counts no silence. */
const SUSPECT = 2;

/** For how many beats a host that is gone by lease is listened to. */
const LISTENING = 600;

/** How many hosts are known at most. */
const MAX_PEERS = 10_000;

class Peer {
  /** @type {Map<string, number>} */
  last = new Map();
  confirmed = false;
  /** The number of its last beat; 0 before the first. */
  beat = 0;
  /** Ticks since the last beat, and since the last sign of life through a pipe. */
  silent = 0;
  pipeSilent = 0;
  /** The incarnation that will replace this one once it is confirmed. @type {Peer | undefined} */
  next;
  /** Ends the subscription to its beats. @type {(() => void) | undefined} */
  unsubscribe;

  /**
   * @param {string} host
   * @param {string} epoch
   */
  constructor(host, epoch) {
    this.host = host;
    this.epoch = epoch;
  }
}

class Peers {
  #self;
  #events;
  /** @type {Map<string, Peer>} */
  #peers = new Map();
  #busDown = false;
  /** Subscriptions to beats of hosts that are gone by lease. @type {Map<string, { end: () => void, ticks: number }>} */
  #lost = new Map();

  /**
   * @param {Peer} self
   * @param {object} events
   * @param {(peer: Peer) => void} events.up - it is confirmed.
   * @param {(peer: Peer, reason: 'left' | 'lease' | 'restarted') => void} events.gone - it was confirmed.
   * @param {(peer: Peer, reason: 'left' | 'lease' | 'restarted') => void} events.forgotten - it was confirmed or heard.
   * @param {() => void} events.fenced - a younger process has the name of this host.
   * @param {() => void} events.busDown
   * @param {() => void} events.busUp
   * @param {() => void} events.missed - messages of the bus may be lost.
   * @param {(peer: Peer) => void} events.missedFrom - messages of a peer may be lost, or it may be back.
   */
  constructor(self, events) {
    this.#self = self;
    this.#events = events;
    self.confirmed = true;
    this.#peers.set(self.host, self);
  }

  get self() {
    return this.#self;
  }

  get busDown() {
    return this.#busDown;
  }

  /** @param {string} host */
  get(host) {
    const peer = this.#peers.get(host);

    return peer?.confirmed ? peer : undefined;
  }

  /** Those that are confirmed, without this host. */
  confirmed() {
    return [...this.#peers.values()].filter((peer) => peer.confirmed && peer !== this.#self);
  }

  /**
   * The sender of a message that has opened.
   *
   * @param {string} subject
   * @param {{ host: string, epoch: string, counter: number }} opened
   * @returns {Peer}
   * @throws {Refusal}
   */
  accept(subject, { host, epoch, counter }) {
    const peer = this.#find(host, epoch);

    if (counter <= (peer.last.get(subject) ?? 0)) {
      throw new Refusal('replayed');
    }
    peer.last.set(subject, counter);
    return peer;
  }

  /**
   * It has answered a nonce.
   *
   * @param {Peer} peer
   */
  confirm(peer) {
    if (peer.confirmed) {
      return;
    }

    const former = this.#peers.get(peer.host);

    if (former === this.#self) {
      if (peer.epoch > former.epoch) {
        this.#events.fenced();
      }
      return;
    }
    if (former && former !== peer) {
      peer.unsubscribe = former.unsubscribe;
      former.unsubscribe = undefined;
      this.gone(former, 'restarted');
    }
    if (this.#lost.has(peer.host)) {
      peer.unsubscribe = this.#lost.get(peer.host)?.end;
      this.#lost.delete(peer.host);
    }
    peer.confirmed = true;
    peer.silent = 0;
    this.#peers.set(peer.host, peer);
    this.#events.up(peer);
  }

  /**
   * Forgets a peer.
   *
   * @param {Peer} peer
   * @param {'left' | 'lease' | 'restarted'} reason
   */
  gone(peer, reason) {
    if (this.#peers.get(peer.host) !== peer) {
      return;
    }

    const { confirmed, next } = peer;

    this.#peers.delete(peer.host);
    if (next) {
      this.#peers.set(peer.host, next);
    }
    peer.confirmed = false;
    peer.next = undefined;
    if (reason === 'lease' && peer.unsubscribe) {
      this.#lost.set(peer.host, { end: peer.unsubscribe, ticks: 0 });
    } else {
      peer.unsubscribe?.();
    }
    peer.unsubscribe = undefined;
    this.#events.forgotten(peer, reason);
    if (confirmed) {
      this.#events.gone(peer, reason);
    }
  }

  /**
   * @param {Peer} peer
   * @param {number} beat - its number.
   */
  onBeat(peer, beat) {
    // The first one of another host has any number.
    const missed = beat !== peer.beat + 1 && (peer.beat > 0 || peer === this.#self);

    peer.beat = beat;
    peer.silent = 0;
    if (peer === this.#self) {
      // A bus that was only slow loses nothing.
      if (missed || this.#busDown) {
        this.onMissed();
      }
    } else if (missed || !peer.confirmed) {
      this.#events.missedFrom(peer);
    }
  }

  /** Messages of the bus may be lost. */
  onMissed() {
    for (const peer of this.#peers.values()) {
      peer.silent = 0;
    }
    if (this.#busDown) {
      this.#busDown = false;
      this.#events.busUp();
    }
    this.#events.missed();
  }

  /**
   * Counts a beat of silence.
   *
   * @param {(host: string) => boolean} heard - whether anything has come through a pipe since the last tick.
   */
  tick(heard) {
    const busWorks = this.#self.silent < SUSPECT;

    for (const peer of [...this.#peers.values()]) {
      if (peer !== this.#self) {
        this.#tickPeer(peer, heard(peer.host), busWorks);
      }
      if (peer.next && (peer.next.silent += 1) > BEATS) {
        this.#replaceNext(peer, undefined);
      }
    }
    for (const [host, lost] of this.#lost) {
      lost.ticks += 1;
      if (lost.ticks > LISTENING) {
        this.#lost.delete(host);
        lost.end();
      }
    }
    this.#self.silent += 1;
    if (!this.#busDown && this.#self.silent > BEATS) {
      this.#busDown = true;
      this.#events.busDown();
    }
  }

  /**
   * @param {Peer} peer
   * @param {boolean} heard
   * @param {boolean} busWorks
   */
  #tickPeer(peer, heard, busWorks) {
    peer.pipeSilent = heard ? 0 : peer.pipeSilent + 1;
    if (busWorks) {
      peer.silent += 1;
    }
    if (peer.silent <= BEATS) {
      return;
    }
    if (!peer.confirmed || peer.pipeSilent > BEATS) {
      this.gone(peer, 'lease');
    }
  }

  close() {
    for (const { unsubscribe } of this.#peers.values()) {
      unsubscribe?.();
    }
    for (const { end } of this.#lost.values()) {
      end();
    }
  }

  /**
   * @param {string} host
   * @param {string} epoch
   * @returns {Peer}
   * @throws {Refusal}
   */
  #find(host, epoch) {
    const known = this.#peers.get(host);

    if (known?.epoch === epoch) {
      return known;
    }

    const heard = known?.confirmed ? known.next : known;

    if (heard?.epoch === epoch) {
      return heard;
    }
    // Of two that are not confirmed, the higher one: a lower one has its turn once this has not answered for a lease. An
    // elder process of the name of this host is heard: it has to be answered to be fenced.
    if (
      (known?.confirmed && known !== this.#self && epoch < known.epoch) ||
      (heard && epoch < heard.epoch)
    ) {
      throw new Refusal('stale');
    }
    if (!known && this.#peers.size >= MAX_PEERS) {
      throw new Refusal('toomany');
    }

    const peer = new Peer(host, epoch);

    if (known?.confirmed) {
      this.#replaceNext(known, peer);
    } else {
      if (known) {
        this.gone(known, 'restarted');
      }
      this.#peers.set(host, peer);
    }
    return peer;
  }

  /**
   * @param {Peer} peer
   * @param {Peer | undefined} next
   */
  #replaceNext(peer, next) {
    const former = peer.next;

    peer.next = next;
    if (former) {
      this.#events.forgotten(former, 'restarted');
    }
  }
}

exports.BEATS = BEATS;
exports.Peer = Peer;
exports.Peers = Peers;
