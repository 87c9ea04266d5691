'use strict';

// One host of a cluster: puts the parts of the protocol together.
//
//   Envelope → Link → Peers     who is there
//                   → Lists     what they have
//                   → Takes     what this host takes from them, over pipes
//                   → Gives     what it sends to them
//
// It reads no clock, makes no random numbers and opens no sockets: bus, clock, random numbers, sealer and data plane
// are passed in, and tests pass in simulated ones. A beat each fifth of the lease drives what counts silence. Resync is
// the only recovery: when messages of the bus may be lost, or this process has been paused for half a lease, the host
// says its state in all rooms, at most once a beat. The beats of others show what they have changed.

const { Gives } = require('./Gives');
const { Link } = require('./Link');
const { Lists } = require('./Lists');
const { MAX_MESSAGE, Subjects, VERSIONS } = require('./messages');
const { BEATS, Peer, Peers } = require('./Peers');
const { Takes } = require('./Takes');
const { Connectors } = require('./Connector');
const { OVERHEAD } = require('./envelope');

/** What a message has beside its items, in bytes. */
const HEAD = 512;

/** How long a host that leaves waits until it hears itself, and how often it says so, in milliseconds. */
const LEAVING = 1000;
const BYE = 100;

/** @import { Range } from './messages' */
/** @import { Bus, Carrier, Clock, Entry, Plane, RandomNumbers, Sealer } from './types' */

/**
 * @typedef {object} HostEvents
 * @property {(host: string) => void} hostup
 * @property {(host: string, reason: 'left' | 'lease' | 'restarted') => void} hostdown
 * @property {() => void} busdown
 * @property {() => void} busup
 * @property {() => void} fenced - the host has closed.
 * @property {(host: string) => void} incompatible
 * @property {(reason: string) => void} refused - a control message.
 * @property {(host: string, carrier: Carrier, why: string) => void} carrier - messages of a host come another way.
 * @property {(host: string, error: Error, failures: number) => void} failing - so many pipes in a row have failed.
 * @property {(room: string, host: string, entry: Entry) => void} added
 * @property {(room: string, host: string, entry: Entry, reason: 'closed' | 'left' | 'lease') => void} removed
 */

class Host {
  /** What this host and others have in rooms, and what it takes from others. */
  lists;
  takes;
  #clock;
  #events;
  #lease;
  #link;
  #peers;
  #connectors;
  #gives;
  /** @type {Set<string>} */
  #incompatible = new Set();
  /** @type {(() => void)[]} */
  #subscriptions = [];
  /** @type {(() => void) | undefined} */
  #ticking;
  #tickedAt = 0;
  #beats = 0;
  #resyncs = 0;
  /** Whether there was a resync since the last tick, and whether another one is due. */
  #resynced = false;
  #stale = false;
  /** @type {(() => void) | undefined} */
  #onBye;
  #closed = false;

  /**
   * @param {object} options
   * @param {string} options.host
   * @param {string} options.epoch
   * @param {string} options.prefix
   * @param {number} options.lease - in milliseconds.
   * @param {Carrier | 'auto'} options.carrier
   * @param {Bus} options.bus
   * @param {Clock} options.clock
   * @param {Plane} options.plane
   * @param {RandomNumbers} options.random
   * @param {Sealer} options.sealer
   * @param {HostEvents} options.events
   * @param {Range} [options.range] - the versions of the protocol that it writes.
   */
  constructor(options) {
    const { host, epoch, prefix, lease, carrier, bus, clock, plane, random, sealer, events } =
      options;
    const { range = VERSIONS } = options;
    const limit = Math.min(bus.maxPayload, MAX_MESSAGE) - OVERHEAD - HEAD;

    this.#clock = clock;
    this.#events = events;
    this.#lease = lease;

    const peers = new Peers(new Peer(host, epoch), {
      up: (peer) => this.#onUp(peer),
      gone: (peer, reason) => this.#closed || events.hostdown(peer.host, reason),
      forgotten: (peer, reason) => this.#onForgotten(peer, reason),
      fenced: () => {
        this.close();
        events.fenced();
      },
      busDown: events.busdown,
      busUp: events.busup,
      missed: () => this.#resync(),
      missedFrom: (peer) => this.#onMissedFrom(peer),
    });
    const link = new Link({
      bus,
      clock,
      peers,
      random,
      sealer,
      subjects: new Subjects(prefix),
      range,
      onIncompatible: (name) => this.#onIncompatible(name),
      onRefused: events.refused,
    });

    this.#peers = peers;
    this.#link = link;
    this.lists = new Lists({ link, clock, peers, random, limit, events });
    this.#connectors = new Connectors({ link, clock, peers, plane, carrier, events });
    this.takes = new Takes({ link, clock, peers, plane, limit, connectors: this.#connectors });
    this.#gives = new Gives({
      link,
      clock,
      plane,
      has: (id) => this.lists.has(id),
      onFailing: (name, error) => events.failing(name, error, 1),
    });
  }

  get name() {
    return this.#peers.self.host;
  }

  /** The hosts that share a room with this one. */
  get hosts() {
    return this.#peers.sharing().map((peer) => peer.host);
  }

  /** Resolves once the host hears itself and others. */
  async start() {
    const { host } = this.#peers.self;

    this.#subscriptions.push(
      await this.#link.subscribe('to', host, (message, peer, bytes) =>
        this.#onRequest(message, peer, bytes),
      ),
    );
    this.#subscriptions.push(
      await this.#link.subscribe('beat', host, (message, peer) => this.#onBeat(message, peer)),
    );
    if (this.#closed) {
      this.#unsubscribe();
    } else {
      this.takes.start();
      this.#tickedAt = this.#clock.now();
      this.#tick();
    }
  }

  /**
   * Says that the host leaves, and closes it. Nothing else is sent meanwhile.
   *
   * @param {() => void} done - called when the bus has passed that on, or after a second.
   */
  bye(done) {
    if (this.#closed) {
      done();
      return;
    }

    const end = () => {
      cancel();
      this.#ticking?.();
      this.#onBye = undefined;
      this.close();
      done();
    };
    const cancel = this.#clock.after(LEAVING, end);
    const say = () => {
      this.#link.send('beat', this.name, { type: 'bye' });
      this.#ticking = this.#clock.after(BYE, say);
    };

    this.#onBye = end;
    this.#ticking?.();
    this.#link.leave();
    say();
  }

  stats() {
    const { sent, received, bytesSent, bytesReceived } = this.#link;

    return {
      busDown: this.#peers.busDown,
      resyncs: this.#resyncs,
      refused: { ...this.#link.refused },
      control: { sent: { ...sent }, received: { ...received }, bytesSent, bytesReceived },
      dataProducers: this.lists.sizes(),
      unsent: this.#link.unsent,
      hosts: this.hosts,
      takes: [...this.takes.stats()],
      pipeFailures: this.#connectors.broken,
      gives: [...this.#gives.stats()],
    };
  }

  #tick() {
    const beat = this.#lease / BEATS;
    const now = this.#clock.now();
    const paused = now - this.#tickedAt > beat + this.#lease / 2;

    this.#tickedAt = now;
    this.#peers.tick(
      (host) => Math.min(this.takes.silence(host), this.#gives.silence(host)) / beat,
    );
    this.takes.tick(beat);
    this.#gives.tick();
    if (this.#closed) {
      return;
    }
    this.#beats += 1;
    this.#link.send('beat', this.name, {
      type: 'beat',
      beat: this.#beats,
      seq: this.lists.changes,
    });
    this.#ticking = this.#clock.after(beat, () => this.#tick());
    this.#resynced = false;
    if (paused) {
      this.#peers.onMissed();
    } else if (this.#stale) {
      this.#resync();
    }
  }

  #resync() {
    this.#stale = this.#resynced;
    if (!this.#resynced) {
      this.#resynced = true;
      this.#resyncs += 1;
      this.lists.resync();
    }
  }

  /** @param {Peer} peer */
  #onMissedFrom(peer) {
    if (peer.host === this.name) {
      // Another process has the name of this one.
      this.#challenge(peer);
    } else {
      this.lists.askFor(peer);
    }
  }

  /**
   * Asks a host whether it lives.
   *
   * @param {Peer} peer
   * @param {() => void} [then] - called once it is believed.
   */
  #challenge(peer, then) {
    this.#link.ask(
      peer,
      this.#lease,
      (id, to) => ({ type: 'list', id, to }),
      () => peer.confirmed && then?.(),
    );
  }

  /**
   * @param {any} message
   * @param {Peer} peer
   * @param {number} bytes
   */
  #onRequest(message, peer, bytes) {
    if (peer === this.#peers.self) {
      return;
    }
    if (message.type === 'list') {
      this.lists.onList(message, peer, bytes);
    } else if (message.id === undefined) {
      // An answer, which has been handled.
    } else if (message.type === 'want') {
      // Also from a peer that is not believed yet. It gets the answer that it has no pipe, and makes one at once.
      this.#gives.onWant(message, peer);
    } else if (peer.confirmed) {
      this.#gives.onPipe(message, peer);
    } else {
      this.#challenge(peer, () => this.#gives.onPipe(message, peer));
    }
  }

  /**
   * @param {any} message
   * @param {Peer} peer
   */
  #onBeat(message, peer) {
    if (message.type === 'beat') {
      this.#peers.onBeat(peer, message.beat, message.seq);
    } else if (peer === this.#peers.self) {
      this.#onBye?.();
    } else {
      this.#peers.gone(peer, 'left');
    }
  }

  /** @param {Peer} peer */
  #onUp(peer) {
    this.#events.hostup(peer.host);
    if (peer.unsubscribe) {
      return;
    }
    this.#link
      .subscribe('beat', peer.host, (message, from) => this.#onBeat(message, from))
      .then(
        (unsubscribe) => {
          if (peer.confirmed && !this.#closed) {
            peer.unsubscribe = unsubscribe;
          } else {
            unsubscribe();
          }
        },
        // If the bus refuses the subscription, the beats of the peer are missing, and it is gone after a lease.
        () => {},
      );
  }

  /**
   * @param {Peer} peer
   * @param {'left' | 'lease' | 'restarted'} reason
   */
  #onForgotten(peer, reason) {
    this.lists.forget(peer, reason === 'left' ? 'left' : 'lease');
    this.#gives.forget(peer);
    if (!this.#peers.get(peer.host)) {
      this.takes.forget(peer.host);
    }
  }

  /** @param {string} host */
  #onIncompatible(host) {
    if (!this.#incompatible.has(host) && this.#incompatible.size < 1000) {
      this.#incompatible.add(host);
      this.#events.incompatible(host);
    }
  }

  /** Closes the host, and sends nothing to others. */
  close() {
    this.#closed = true;
    this.#ticking?.();
    this.takes.close();
    this.#gives.close();
    this.lists.close();
    this.#link.close();
    this.#unsubscribe();
    this.#peers.close();
  }

  #unsubscribe() {
    for (const unsubscribe of this.#subscriptions.splice(0)) {
      unsubscribe();
    }
  }
}

exports.Host = Host;
