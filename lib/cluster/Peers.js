'use strict';

// The other hosts: which incarnation of each is believed, what has been heard of it last, and when it is gone.
//
//   unknown → heard → confirmed → gone
//
// A message from an unknown epoch makes a Peer that is only heard: what it says changes nothing until it has answered a
// nonce, so recordings bring no host back. A higher epoch replaces a lower one once it is confirmed itself. Of each
// peer and subject the last counter is kept, and what is not above it is a replay; so is what was sent before a peer
// was confirmed, except in rooms, where lists have numbers of their own.
//
// Silence is counted in ticks of this host, while it hears its own beats: neither a pause of this process nor the loss
// of its bus link is the silence of others. A peer is gone when its beats and its pipes are silent for a lease.
//
// Beats are numbered: a gap says that messages of the bus were lost. They also say at which number the changes of a
// peer are: a gap within which nothing has changed costs nothing. Beats of a peer that is gone by lease are listened to
// for some time, so that both sides of a partition of the bus meet again as soon as it is over.
//
// This host is a peer of its own, so that its own beats are checked like all others, and that another process of its
// name is found.

const { Refusal } = require('./envelope');

/** @import { Kind } from './messages' */

/** How many beats a lease has. */
const BEATS = 5;

/** A host that has missed this many of its own beats counts no silence of others: its bus link may be down. */
const SUSPECT = 2;

/** For how many beats a host that is gone by lease is listened to. */
const LISTENING = 600;

/**
 * For how many ticks a host that has not answered keeps out others: those of its name with a lower epoch, and those
 * beyond MAX_PEERS.
 */
const GRACE = 2;

/** How many hosts are known at most. */
const MAX_PEERS = 10_000;

class Peer {
  /** @type {Map<string, number>} */
  last = new Map();
  confirmed = false;
  /** Whether it is in a room of this host, and in how many it has said something. */
  sharing = false;
  rooms = 0;
  /** The counter of the answer that has confirmed it. */
  floor = 0;
  /** The newest version of the protocol that it takes; Infinity before it has said so. */
  takes = Infinity;
  /** Ticks since it was first heard. */
  age = 0;
  /** The number of its last beat; 0 before the first. */
  beat = 0;
  /** Up to this number, no change of the peer in any room was missed without notice. */
  changes = 0;
  /** Whether a question to it has had no answer. It is asked again after its next beat, which shows that it lives. */
  unanswered = false;
  /** Ticks since the last beat; beats since the last sign of life through a pipe. */
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
   * @param {(peer: Peer) => void} events.up - a peer is in a room of this host.
   * @param {(peer: Peer, reason: 'left' | 'lease' | 'restarted') => void} events.gone - such a peer is gone.
   * @param {(peer: Peer, reason: 'left' | 'lease' | 'restarted') => void} events.forgotten - a peer is gone that was
   * confirmed or only heard.
   * @param {() => void} events.fenced - a newer process uses the name of this host.
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

  /** The newest version of the protocol that all confirmed hosts take. Others may be recordings, and do not count. */
  get takes() {
    let takes = Infinity;

    for (const peer of this.#peers.values()) {
      if (peer.confirmed) {
        takes = Math.min(takes, peer.takes);
      }
    }
    return takes;
  }

  /** The peers in rooms of this host. */
  sharing() {
    return [...this.#peers.values()].filter((peer) => peer.sharing);
  }

  /**
   * Whether the beats of a host that is gone by lease are listened to.
   *
   * @param {string} host
   */
  listensTo(host) {
    return this.#lost.has(host);
  }

  /**
   * The sender of a message that has opened.
   *
   * @param {Kind} kind
   * @param {string} subject
   * @param {{ host: string, epoch: string, counter: number }} opened
   * @returns {Peer}
   * @throws {Refusal}
   */
  accept(kind, subject, { host, epoch, counter }) {
    const peer = this.#find(host, epoch);
    const floor = kind === 'room' ? 0 : peer.floor;

    if (counter <= Math.max(floor, peer.last.get(subject) ?? 0)) {
      throw new Refusal('replayed');
    }
    peer.last.set(subject, counter);
    if (peer !== this.#self) {
      // Any message is a sign of life: this host may not be subscribed yet to the beats of one that it has just met.
      peer.silent = 0;
    }
    return peer;
  }

  /**
   * Forgets what has come on a subject.
   *
   * @param {string} subject
   */
  forgetSubject(subject) {
    for (const peer of this.#peers.values()) {
      peer.last.delete(subject);
      peer.next?.last.delete(subject);
    }
  }

  /**
   * Believes a peer, which has answered a nonce.
   *
   * @param {Peer} peer
   * @param {number} counter - of its answer.
   */
  confirm(peer, counter) {
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
    peer.floor = counter;
    peer.silent = 0;
    this.#peers.set(peer.host, peer);
  }

  /**
   * Notes that a peer is in a room of this host.
   *
   * @param {Peer} peer - confirmed.
   * @param {number} seq - of its list.
   */
  shares(peer, seq) {
    if (!peer.sharing && this.get(peer.host) === peer) {
      peer.sharing = true;
      peer.changes ||= seq;
      this.#events.up(peer);
    }
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

    const { sharing, next } = peer;

    this.#peers.delete(peer.host);
    if (next) {
      this.#peers.set(peer.host, next);
    }
    peer.confirmed = false;
    peer.sharing = false;
    peer.next = undefined;
    if (reason === 'lease' && peer.unsubscribe) {
      this.#lost.set(peer.host, { end: peer.unsubscribe, ticks: 0 });
    } else {
      peer.unsubscribe?.();
    }
    peer.unsubscribe = undefined;
    this.#events.forgotten(peer, reason);
    if (sharing) {
      this.#events.gone(peer, reason);
    }
  }

  /**
   * @param {Peer} peer
   * @param {number} beat - its number.
   * @param {number} changes - the number of its last change.
   */
  onBeat(peer, beat, changes) {
    const missed = beat !== peer.beat + 1;
    const changed = changes > peer.changes;
    const asks = (missed && changed) || peer.unanswered || !peer.confirmed;

    peer.beat = beat;
    peer.changes = changes;
    peer.unanswered = false;
    peer.silent = 0;
    if (peer === this.#self) {
      // Otherwise the bus was only slow, and has lost nothing.
      if (missed || this.#busDown) {
        this.onMissed();
      }
    } else if (asks) {
      this.#events.missedFrom(peer);
    }
  }

  /**
   * @param {Peer} peer
   * @param {{ from: number, seq: number }} diff
   */
  onDiff(peer, { from, seq }) {
    // Otherwise something has changed in another room in between.
    if (from === peer.changes && seq === from + 1) {
      peer.changes = seq;
    }
  }

  /** Called when messages of the bus may be lost. */
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
   * @param {(host: string) => number} silence - for how many beats nothing had come through the pipes of a host a beat
   * ago.
   */
  tick(silence) {
    const busWorks = this.#self.silent < SUSPECT;

    for (const peer of [...this.#peers.values()]) {
      peer.age += 1;
      if (peer !== this.#self) {
        this.#tickPeer(peer, silence(peer.host), busWorks);
      }
      if (peer.next) {
        peer.next.age += 1;
        peer.next.silent += 1;
        if (peer.next.silent > BEATS) {
          this.#replaceNext(peer, undefined);
        }
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
   * @param {number} silence
   * @param {boolean} busWorks
   */
  #tickPeer(peer, silence, busWorks) {
    // At most a beat per tick: a pause of this process is not the silence of the peer.
    peer.pipeSilent = Math.min(peer.pipeSilent, silence) + 1;
    if (busWorks) {
      peer.silent += 1;
    }
    if (peer.silent <= BEATS) {
      return;
    }
    if (!peer.confirmed || peer.pipeSilent >= BEATS) {
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
    // A lower epoch is refused beside a confirmed one, and beside another one while that may still answer. An older
    // process with the name of this host is not refused: it has to get an answer, which closes it.
    if (
      (known?.confirmed && known !== this.#self && epoch < known.epoch) ||
      (heard && epoch < heard.epoch && heard.age <= GRACE)
    ) {
      throw new Refusal('stale');
    }
    if (!known && this.#peers.size >= MAX_PEERS) {
      this.#makeRoom();
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
   * Forgets a host that has not answered.
   *
   * @throws {Refusal} if there is none.
   */
  #makeRoom() {
    for (const peer of this.#peers.values()) {
      if (!peer.confirmed && peer.age > GRACE) {
        this.gone(peer, 'lease');
        return;
      }
    }
    throw new Refusal('toomany');
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
