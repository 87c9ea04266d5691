'use strict';

// Which DataProducers each host of a room has. A list has one writer, its host, and a number that grows with each change;
// so any order of messages ends in the writer's list.
//
//   join      subscribe, then `state` with a nonce; each host answers with its list
//   change    gathered for 5 ms, then `diff { from, seq }`; a host that is not at `from` asks for the list
//   30 s      `state { seq }` repeats the number, for those that have missed the last `diff`
//
// Nothing is taken from a peer that is not confirmed: asking it for its list confirms it.

const { split } = require('./messages');

/** How long changes are gathered, in milliseconds. */
const GATHER = 5;

/** How often the state of a room is repeated, in milliseconds, ± 20 %. */
const REPEAT = 30_000;

/** How long to wait for an answer, in milliseconds, and how often to ask. */
const PATIENCE = 1000;
const TRIES = 3;

/** How many states a host may be silent in a room before it is asked. */
const QUIET = 3;

/** How many DataProducers a host may have in a room. */
const MAX_ENTRIES = 10_000;

/** How many changes that came too early are kept. */
const MAX_EARLY = 64;

/** @import { Clock, Diff, Entry, List, RandomNumbers, State } from './types' */
/** @import { Link } from './Link' */
/** @import { Peer, Peers } from './Peers' */

/** What a host has in a room, as far as this host knows. */
class View {
  /** The number of the list, -1 if it is not known. */
  seq = -1;
  /** @type {Map<string, Entry>} */
  entries = new Map();
  /** Changes after those that are missing, by the number that they follow. @type {Map<number, Diff>} */
  early = new Map();
  /** The highest number that the host has spoken of. */
  heard = -1;
  /** Ends the question that waits for an answer. @type {(() => void) | undefined} */
  asking;
  /** Parts of an answer that has not come whole. @type {{ re: string, parts: Map<number, Entry[]> } | undefined} */
  parts;
  /** Own states since the host has last said something in the room. */
  quiet = 0;

  /** @param {Peer} peer */
  constructor(peer) {
    this.peer = peer;
  }
}

class Room {
  /** Own DataProducers, those included that the next `diff` adds. @type {Map<string, Entry>} */
  own = new Map();
  /** @type {Set<string>} */
  added = new Set();
  /** @type {Set<string>} */
  deleted = new Set();
  /** By incarnation: what a former one had stays until a new one is confirmed. @type {Map<Peer, View>} */
  views = new Map();
  /** Hosts that are gone by lease, and have not been heard of in the room since. @type {Set<string>} */
  lost = new Set();
  /** The nonce of the last question to all. @type {string | undefined} */
  asked;
  /** @type {(() => void) | undefined} */
  flushing;
  /** @type {(() => void) | undefined} */
  repeating;
  /** @type {(() => void) | undefined} */
  unsubscribe;
  left = false;

  /**
   * @param {string} hash
   * @param {number} seq
   */
  constructor(hash, seq) {
    this.hash = hash;
    this.seq = seq;
  }
}

class Lists {
  #link;
  #clock;
  #peers;
  #random;
  #limit;
  #events;
  /** @type {Map<string, Room>} */
  #rooms = new Map();
  /** Counts the changes of all rooms, so that the number of a room also grows when the room is left and joined again. */
  #changes = 0;

  /**
   * @param {object} options
   * @param {Link} options.link
   * @param {Clock} options.clock
   * @param {Peers} options.peers
   * @param {RandomNumbers} options.random
   * @param {number} options.limit - the most bytes of entries in a message.
   * @param {object} options.events
   * @param {(room: string, host: string, entry: Entry) => void} options.events.added
   * @param {(room: string, host: string, entry: Entry, reason: 'closed' | 'left' | 'lease') => void} options.events.removed
   */
  constructor({ link, clock, peers, random, limit, events }) {
    this.#link = link;
    this.#clock = clock;
    this.#peers = peers;
    this.#random = random;
    this.#limit = limit;
    this.#events = events;
  }

  /** @param {string} hash */
  async join(hash) {
    this.#changes += 1;

    const room = new Room(hash, this.#changes);

    this.#rooms.set(hash, room);
    try {
      const unsubscribe = await this.#link.subscribe('room', hash, (message, peer) => {
        if (peer !== this.#peers.self && !room.left) {
          this.#onMessage(room, message, peer);
        }
      });

      if (room.left) {
        unsubscribe();
        return;
      }
      room.unsubscribe = unsubscribe;
    } catch (error) {
      this.#end(room);
      throw error;
    }
    this.resync(room);
    this.#repeat(room);
  }

  /** @param {string} hash */
  leave(hash) {
    const room = this.#rooms.get(hash);

    if (room) {
      this.#changes += 1;
      this.#link.send('room', hash, { type: 'leave', seq: this.#changes });
      this.#end(room);
    }
  }

  /**
   * @param {string} hash
   * @param {Entry} entry
   */
  announce(hash, entry) {
    const room = this.#rooms.get(hash);

    if (!room) {
      return;
    }
    if (room.own.size >= MAX_ENTRIES) {
      throw new Error(`a host can announce at most ${MAX_ENTRIES} DataProducers in a room`);
    }
    room.own.set(entry.id, entry);
    room.added.add(entry.id);
    this.#gather(room);
  }

  /**
   * @param {string} hash
   * @param {string} id
   */
  withdraw(hash, id) {
    const room = this.#rooms.get(hash);

    if (room?.own.delete(id)) {
      room.added.delete(id);
      room.deleted.add(id);
      this.#gather(room);
    }
  }

  /**
   * Whether this host has announced a DataProducer, in any room.
   *
   * @param {string} id
   */
  has(id) {
    return [...this.#rooms.values()].some((room) => room.own.has(id));
  }

  /**
   * What a host has announced in a room, as far as this host knows.
   *
   * @param {string} hash
   * @param {string} host
   * @returns {Iterable<Entry>}
   */
  of(hash, host) {
    const peer = this.#peers.get(host);

    return (peer && this.#rooms.get(hash)?.views.get(peer)?.entries.values()) ?? [];
  }

  /** How many DataProducers the lists of this host have, and those of others. */
  sizes() {
    const sizes = { own: 0, other: 0 };

    for (const { own, views } of this.#rooms.values()) {
      sizes.own += own.size;
      for (const { entries } of views.values()) {
        sizes.other += entries.size;
      }
    }
    return sizes;
  }

  /** Says the state of all rooms and asks for those of others. */
  resyncAll() {
    for (const room of this.#rooms.values()) {
      if (room.unsubscribe) {
        this.resync(room);
      }
    }
  }

  /**
   * Asks a peer for its lists in the rooms where it is, or was before it was gone.
   *
   * @param {Peer} peer
   */
  askFor(peer) {
    for (const room of this.#rooms.values()) {
      if (room.views.has(peer) || room.lost.has(peer.host)) {
        this.#askAgain(room, this.#viewOf(room, peer));
      }
    }
  }

  /** @param {Room} room */
  resync(room) {
    if (room.asked) {
      this.#link.forget(room.asked);
    }
    for (const view of room.views.values()) {
      view.quiet += 1;
    }
    room.asked = this.#link.question(PATIENCE * TRIES, {
      onAnswer: (answer, peer) => {
        // An answer from outside of this room has no list.
        if (answer.type === 'list' && answer.room === room.hash && !room.left) {
          this.#onList(room, answer, peer);
        }
      },
      // Some may have left while the bus was down.
      onTimeout: () => this.#askQuiet(room, 1),
    });
    this.#link.send('room', room.hash, { type: 'state', seq: room.seq, ask: room.asked });
  }

  /**
   * Handles `list`: a question; the answer has been handled by then.
   *
   * @param {List} message
   * @param {Peer} peer
   */
  onList({ id, room: hash }, peer) {
    if (id !== undefined) {
      const room = hash === undefined ? undefined : this.#rooms.get(hash);
      const view = room && this.#viewOf(room, peer);
      // A host that is in the room, and was not known to be: its answer to this host came too late, say.
      const unknown = room && view && view.seq < 0 && !view.asking;

      this.#answer(room, hash, peer, id, unknown ? this.#ask(room, view) : undefined);
    }
  }

  /**
   * @param {Peer} peer
   * @param {'closed' | 'left' | 'lease'} reason
   */
  drop(peer, reason) {
    for (const room of this.#rooms.values()) {
      this.#dropView(room, peer, reason);
    }
  }

  close() {
    for (const room of this.#rooms.values()) {
      this.#end(room);
    }
  }

  /**
   * @param {Room} room
   * @param {any} message
   * @param {Peer} peer
   */
  #onMessage(room, message, peer) {
    if (message.type === 'leave') {
      // It may have joined again since.
      if (message.seq > (room.views.get(peer)?.heard ?? 0)) {
        this.#onLeft(room, peer);
      }
      return;
    }

    const view = this.#viewOf(room, peer);

    view.quiet = 0;
    view.heard = Math.max(view.heard, message.seq);
    if (message.type === 'diff') {
      this.#onDiff(room, view, message);
    } else {
      this.#onState(room, view, message);
    }
  }

  /**
   * @param {Room} room
   * @param {View} view
   * @param {State} state
   */
  #onState(room, view, { seq, ask }) {
    const { peer } = view;
    const current = peer.confirmed && view.seq >= seq;

    if (ask !== undefined) {
      // One message answers and asks.
      this.#answer(room, room.hash, peer, ask, current ? undefined : this.#ask(room, view));
    } else if (!current) {
      this.#askAgain(room, view);
    }
  }

  /**
   * @param {Room} room
   * @param {View} view
   * @param {Diff} diff
   */
  #onDiff(room, view, diff) {
    if (view.seq >= diff.seq) {
      return;
    }
    if (view.early.size < MAX_EARLY) {
      view.early.set(diff.from, diff);
    }
    if (view.peer.confirmed) {
      this.#catchUp(room, view);
    }
    if (view.seq < view.heard) {
      this.#askAgain(room, view);
    }
  }

  /**
   * Makes the changes that follow what the view has.
   *
   * @param {Room} room
   * @param {View} view
   */
  #catchUp(room, view) {
    for (let diff = view.early.get(view.seq); diff && !room.left; diff = view.early.get(view.seq)) {
      view.early.delete(view.seq);
      view.seq = diff.seq;
      for (const id of diff.del) {
        this.#remove(room, view, id, 'closed');
      }
      for (const entry of diff.add) {
        this.#add(room, view, entry);
      }
    }
    for (const from of view.early.keys()) {
      if (from < view.seq) {
        view.early.delete(from);
      }
    }
  }

  /**
   * @param {Room} room
   * @param {List} answer
   * @param {Peer} peer
   */
  #onList(room, answer, peer) {
    if (answer.gone) {
      // It may have joined since.
      if ((answer.seq ?? 0) >= (room.views.get(peer)?.heard ?? 0)) {
        this.#onLeft(room, peer);
      }
      return;
    }

    const { re, seq, part, parts, list } = /** @type {Required<List>} */ (answer);
    const view = this.#viewOf(room, peer);

    view.quiet = 0;
    view.heard = Math.max(view.heard, seq);
    if (view.parts?.re !== re) {
      view.parts = { re, parts: new Map() };
    }
    view.parts.parts.set(part, list);
    if (view.parts.parts.size < parts) {
      // The others may be lost.
      view.asking ??= this.#clock.after(PATIENCE, () => {
        view.asking = undefined;
        this.#askAgain(room, view);
      });
      return;
    }

    const entries = [...view.parts.parts.values()].flat().slice(0, MAX_ENTRIES);

    view.parts = undefined;
    view.asking?.();
    view.asking = undefined;
    if (seq >= view.seq) {
      this.#replace(room, view, seq, entries);
    }
    this.#catchUp(room, view);
    if (view.seq < view.heard) {
      this.#askAgain(room, view);
    }
  }

  /**
   * @param {Room} room
   * @param {View} view
   * @param {number} seq
   * @param {Entry[]} entries
   */
  #replace(room, view, seq, entries) {
    const ids = new Set(entries.map(({ id }) => id));

    view.seq = seq;
    for (const id of [...view.entries.keys()]) {
      if (!ids.has(id)) {
        this.#remove(room, view, id, 'closed');
      }
    }
    for (const entry of entries) {
      this.#add(room, view, entry);
    }
  }

  /**
   * @param {Room} room
   * @param {View} view
   * @param {Entry} entry
   */
  #add(room, view, entry) {
    if (!room.left && !view.entries.has(entry.id) && view.entries.size < MAX_ENTRIES) {
      view.entries.set(entry.id, entry);
      this.#events.added(room.hash, view.peer.host, entry);
    }
  }

  /**
   * @param {Room} room
   * @param {View} view
   * @param {string} id
   * @param {'closed' | 'left' | 'lease'} reason
   */
  #remove(room, view, id, reason) {
    const entry = view.entries.get(id);

    if (entry) {
      view.entries.delete(id);
      this.#events.removed(room.hash, view.peer.host, entry, reason);
    }
  }

  /**
   * @param {Room} room
   * @param {Peer} peer
   * @returns {View}
   */
  #viewOf(room, peer) {
    let view = room.views.get(peer);

    if (!view) {
      view = new View(peer);
      room.views.set(peer, view);
      room.lost.delete(peer.host);
    }
    return view;
  }

  /**
   * A peer has said that it is not in a room.
   *
   * @param {Room} room
   * @param {Peer} peer
   */
  #onLeft(room, peer) {
    room.lost.delete(peer.host);
    this.#dropView(room, peer, 'left');
    this.#forgetIfAlone(peer);
  }

  /**
   * @param {Room} room
   * @param {Peer} peer
   * @param {'closed' | 'left' | 'lease'} reason
   */
  #dropView(room, peer, reason) {
    const view = room.views.get(peer);

    if (view) {
      view.asking?.();
      room.views.delete(peer);
      if (reason === 'lease') {
        room.lost.add(peer.host);
      }
      for (const id of [...view.entries.keys()]) {
        this.#remove(room, view, id, reason);
      }
    }
  }

  /**
   * Forgets a peer that shares no room with this host.
   *
   * @param {Peer} peer
   */
  #forgetIfAlone(peer) {
    if (![...this.#rooms.values()].some((room) => room.views.has(peer))) {
      this.#peers.gone(peer, 'left');
    }
  }

  /**
   * Asks a peer for its list, unless it has been asked.
   *
   * @param {Room} room
   * @param {View} view
   * @param {number} [tries]
   */
  #askAgain(room, view, tries = TRIES) {
    const { peer } = view;

    if (!view.asking) {
      const id = this.#ask(room, view, tries);

      this.#link.send('to', peer.host, { type: 'list', id, to: peer.epoch, room: room.hash });
    }
  }

  /**
   * @param {Room} room
   * @param {View} view
   * @param {number} [tries]
   * @returns {string} the nonce of the question, which the caller sends.
   */
  #ask(room, view, tries = TRIES) {
    const { peer } = view;
    const id = this.#link.question(PATIENCE, {
      peer,
      onAnswer: (answer) => {
        if (answer.type === 'list' && answer.room === room.hash && !room.left) {
          this.#onList(room, answer, peer);
        }
      },
      onTimeout: () => {
        view.asking = undefined;
        if (tries > 1 && room.views.get(peer) === view) {
          this.#askAgain(room, view, tries - 1);
        }
      },
    });

    view.asking?.();
    view.asking = () => this.#link.forget(id);
    return id;
  }

  /**
   * @param {Room | undefined} room - undefined if this host is not in it.
   * @param {string | undefined} hash
   * @param {Peer} peer
   * @param {string} re
   * @param {string} [id] - the nonce of a question of this host.
   */
  #answer(room, hash, peer, re, id) {
    if (!room) {
      const gone = hash === undefined ? undefined : true;

      this.#link.send('to', peer.host, { type: 'list', re, room: hash, gone, seq: this.#changes });
      return;
    }

    const parts = split([...room.own.values()], this.#limit);

    parts.forEach((list, part) => {
      this.#link.send('to', peer.host, {
        type: 'list',
        re,
        room: hash,
        seq: room.seq,
        part,
        parts: parts.length,
        list,
        ...(id !== undefined && part === 0 ? { id, to: peer.epoch } : {}),
      });
    });
  }

  /** @param {Room} room */
  #gather(room) {
    room.flushing ??= this.#clock.after(GATHER, () => {
      room.flushing = undefined;
      this.#flush(room);
    });
  }

  /** @param {Room} room */
  #flush(room) {
    const added = [...room.added].flatMap((id) => room.own.get(id) ?? []);

    for (const part of split([...room.deleted, ...added], this.#limit)) {
      const from = room.seq;

      this.#changes += 1;
      room.seq = this.#changes;
      this.#link.send('room', room.hash, {
        type: 'diff',
        from,
        seq: room.seq,
        add: part.filter((item) => typeof item !== 'string'),
        del: part.filter((item) => typeof item === 'string'),
      });
    }
    room.added.clear();
    room.deleted.clear();
  }

  /** @param {Room} room */
  #repeat(room) {
    room.repeating = this.#clock.after(REPEAT * (0.8 + 0.4 * this.#random.next()), () => {
      this.#link.send('room', room.hash, { type: 'state', seq: room.seq });
      for (const view of room.views.values()) {
        view.quiet += 1;
      }
      this.#askQuiet(room, QUIET);
      this.#repeat(room);
    });
  }

  /**
   * Asks those that have not been heard of in a room.
   *
   * @param {Room} room
   * @param {number} quiet - since how many states.
   */
  #askQuiet(room, quiet) {
    for (const view of room.views.values()) {
      if (view.quiet >= quiet) {
        this.#askAgain(room, view);
      }
    }
  }

  /** @param {Room} room */
  #end(room) {
    room.left = true;
    room.unsubscribe?.();
    room.flushing?.();
    room.repeating?.();
    if (room.asked) {
      this.#link.forget(room.asked);
    }
    if (this.#rooms.get(room.hash) === room) {
      this.#rooms.delete(room.hash);
    }
    for (const { peer, asking } of room.views.values()) {
      asking?.();
      this.#forgetIfAlone(peer);
    }
  }
}

exports.Lists = Lists;
