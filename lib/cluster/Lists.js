'use strict';

// Which DataProducers each host of a room has. A list has one writer, its host, and a number that grows with each
// change; so any order of messages ends in the writer's list.
//
//   join      subscribe, then `state` with a nonce; each host answers with its list
//   change    gathered for 5 ms, then `diff { from, seq }`; a host that is not at `from` asks for the list
//   30 s      `state { seq }` repeats the number, for those that have missed the last `diff`; also when messages of
//             the bus may be lost
//
// Nothing is taken from a peer that is not confirmed, and it gets no list: else a replayed question would make every
// host publish all that it has. It gets a question instead, which confirms it, and then its answer. A question says
// which list the asker has; the answer to one that has changed nothing is a number. Of many questions at once, all but
// the first wait a random time.

const { split } = require('./messages');

/** How long changes are gathered, in milliseconds. */
const GATHER = 5;

/** How often the state of a room is repeated, in milliseconds, ± 20 %. */
const REPEAT = 30_000;

/** How long to wait for an answer, in milliseconds, and how often to ask. */
const PATIENCE = 1000;
const TRIES = 5;

/** Over how long questions are spread per question that waits for its answer, and at most, in milliseconds. */
const SPREAD = 10;
const MAX_SPREAD = 5000;

/** For how long answers to the question of a join are taken, in milliseconds. */
const JOINING = 2 * MAX_SPREAD;

/** A host is asked once this host has published so many states of a room since it last said something there. */
const QUIET = 3;

/** How many DataProducers a host may have in a room. */
const MAX_ENTRIES = 10_000;

/** How many changes that came too early are kept, and of how many bytes. */
const MAX_EARLY = 64;
const MAX_EARLY_BYTES = 1024 * 1024;

/** The most bytes that the parts of a list may have together. */
const MAX_LIST_BYTES = 64 * 1024 * 1024;

/** @import { Clock, Diff, Entry, List, RandomNumbers, State } from './types' */
/** @import { Link } from './Link' */
/** @import { Peer, Peers } from './Peers' */

/**
 * @typedef {object} Parts
 * @property {string} re
 * @property {number} seq
 * @property {number} bytes
 * @property {number} entries
 * @property {Map<number, Entry[]>} lists
 */

/** What a host has in a room, as far as this host knows. */
class View {
  /** The number of the list, -1 if it is not known. */
  seq = -1;
  /** @type {Map<string, Entry>} */
  entries = new Map();
  /** Changes after those that are missing, by the number that they follow. @type {Map<number, Diff>} */
  early = new Map();
  earlyBytes = 0;
  /** The highest number of the host's list that has come in a message. */
  heard = -1;
  /** Ends the question that waits for an answer, or for its turn. @type {(() => void) | undefined} */
  asking;
  /** How many more times the host is asked. */
  tries = TRIES;
  /** The last question of the host that is not answered, and the number of the list that it has. @type {{ id: string, have?: number, heard?: boolean } | undefined} */
  owed;
  /** Parts of an answer that has not come whole. @type {Parts | undefined} */
  parts;
  /** How many states of the room this host has published since the host last said something there. */
  quiet = 0;

  /** @param {Peer} peer */
  constructor(peer) {
    this.peer = peer;
  }
}

/** What this host has in a room, and what others have. */
class Membership {
  /** Own DataProducers, those included that the next `diff` adds. @type {Map<string, Entry>} */
  own = new Map();
  /** @type {Set<string>} */
  added = new Set();
  /** @type {Set<string>} */
  deleted = new Set();
  /** By incarnation: what a former one had stays until a new one is confirmed. @type {Map<Peer, View>} */
  views = new Map();
  /** Hosts that are gone by lease, whose beats are listened to. @type {Set<string>} */
  lost = new Set();
  /** The nonce of the question to all. @type {string | undefined} */
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
  /** @type {Map<string, Membership>} */
  #rooms = new Map();
  /** In how many rooms each DataProducer of this host is. @type {Map<string, number>} */
  #own = new Map();
  /**
   * Counts the changes of all rooms, so that the number of a room also grows when the room is left and joined again.
   */
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

  /** The number of the last change of this host, in any room. */
  get changes() {
    return this.#changes;
  }

  /** @param {string} hash */
  async join(hash) {
    this.#changes += 1;

    const room = new Membership(hash, this.#changes);

    this.#rooms.set(hash, room);
    try {
      const unsubscribe = await this.#link.subscribe('room', hash, (message, peer, bytes) => {
        if (peer !== this.#peers.self && !room.left) {
          this.#onMessage(room, message, peer, bytes);
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
    room.asked = this.#link.question(JOINING, {});
    this.#link.send('room', hash, { type: 'state', seq: room.seq, ask: room.asked });
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
    if (!room.own.has(entry.id)) {
      this.#count(entry.id, 1);
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
      this.#count(id, -1);
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
    return this.#own.has(id);
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

  /**
   * Publishes the state of all rooms. Hosts that have missed something ask, and so do those that this host does not
   * know. The beats of those that it knows show what it has missed.
   */
  resync() {
    for (const room of this.#rooms.values()) {
      if (room.unsubscribe) {
        this.#link.send('room', room.hash, { type: 'state', seq: room.seq });
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
        this.#askSoon(room, this.#viewOf(room, peer));
      }
    }
  }

  /**
   * Handles `list`: a question, an answer to one of this host, or both.
   *
   * @param {List} message
   * @param {Peer} peer
   * @param {number} bytes
   */
  onList(message, peer, bytes) {
    const { id, have, re, room: hash } = message;
    const room = hash === undefined ? undefined : this.#rooms.get(hash);

    if (!room) {
      if (id !== undefined) {
        const gone = hash === undefined ? undefined : true;

        this.#link.sendTo(peer, {
          type: 'list',
          re: id,
          room: hash,
          gone,
          seq: this.#changes,
        });
      }
      return;
    }
    if (re !== undefined && peer.confirmed) {
      this.#onAnswer(room, message, peer, bytes);
    }
    if (id !== undefined) {
      this.#viewOf(room, peer).owed = { id, have };
    }

    const view = room.views.get(peer);

    if (view?.owed && (peer.confirmed || id !== undefined)) {
      // That the peer is in the room may be news, for example if its answer came too late: then it is asked.
      this.#speak(room, view, view.seq < 0 && !view.asking);
    }
  }

  /**
   * @param {Peer} peer
   * @param {'closed' | 'left' | 'lease'} reason
   */
  forget(peer, reason) {
    for (const room of this.#rooms.values()) {
      this.#forgetView(room, peer, reason);
    }
  }

  close() {
    for (const room of this.#rooms.values()) {
      this.#end(room);
    }
  }

  /**
   * @param {Membership} room
   * @param {any} message
   * @param {Peer} peer
   * @param {number} bytes
   */
  #onMessage(room, message, peer, bytes) {
    if (message.type === 'leave') {
      // The peer may have joined the room again since it said so.
      if (message.seq > (room.views.get(peer)?.heard ?? 0)) {
        this.#onLeft(room, peer);
      }
      return;
    }

    const view = this.#viewOf(room, peer);

    view.quiet = 0;
    view.heard = Math.max(view.heard, message.seq);
    if (message.type === 'diff') {
      this.#onDiff(room, view, message, bytes);
    } else {
      this.#onState(room, view, message);
    }
  }

  /**
   * @param {Membership} room
   * @param {View} view
   * @param {State} state
   */
  #onState(room, view, { seq, ask }) {
    const current = view.peer.confirmed && view.seq >= seq;

    if (ask !== undefined) {
      view.owed = { id: ask };
    }
    if (!current && !view.asking) {
      // The same message will answer the other host and ask it.
      this.#askSoon(room, view);
    } else if (ask !== undefined) {
      this.#speak(room, view, false);
    }
  }

  /**
   * @param {Membership} room
   * @param {View} view
   * @param {Diff} diff
   * @param {number} bytes
   */
  #onDiff(room, view, diff, bytes) {
    if (view.seq >= diff.seq) {
      return;
    }
    this.#peers.onDiff(view.peer, diff);
    if (
      view.peer.confirmed &&
      view.early.size < MAX_EARLY &&
      view.earlyBytes + bytes <= MAX_EARLY_BYTES
    ) {
      view.early.set(diff.from, diff);
      view.earlyBytes += bytes;
      this.#catchUp(room, view);
    }
    if (view.seq < view.heard) {
      this.#askSoon(room, view);
    }
  }

  /**
   * Applies the changes that follow the number of the view.
   *
   * @param {Membership} room
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
    if (view.early.size === 0) {
      view.earlyBytes = 0;
    }
  }

  /**
   * @param {Membership} room
   * @param {List} answer
   * @param {Peer} peer
   * @param {number} bytes
   */
  #onAnswer(room, answer, peer, bytes) {
    if (answer.gone) {
      // The peer may have joined the room since it answered.
      if ((answer.seq ?? 0) >= (room.views.get(peer)?.heard ?? 0)) {
        this.#onLeft(room, peer);
      }
      return;
    }

    const { seq, list } = answer;
    const view = this.#viewOf(room, peer);

    view.quiet = 0;
    if (seq === undefined) {
      // The peer first has to get an answer to its own question.
      return;
    }
    view.heard = Math.max(view.heard, seq);
    if (list) {
      const entries = this.#gathered(room, view, /** @type {Required<List>} */ (answer), bytes);

      if (!entries) {
        return;
      }
      this.#peers.shares(peer, seq);
      if (seq >= view.seq) {
        this.#replace(room, view, seq, entries);
      }
    }
    view.asking?.();
    view.asking = undefined;
    this.#catchUp(room, view);
    if (view.seq < view.heard) {
      this.#askSoon(room, view);
    }
  }

  /**
   * Gathers the parts of a list.
   *
   * @param {Membership} room
   * @param {View} view
   * @param {Required<List>} answer
   * @param {number} bytes
   * @returns {Entry[] | undefined} undefined if some are missing.
   */
  #gathered(room, view, { re, seq, part, parts, list }, bytes) {
    if (view.parts?.re !== re || view.parts.seq !== seq) {
      view.parts = { re, seq, bytes: 0, entries: 0, lists: new Map() };
    }

    const { lists } = view.parts;

    if (!lists.has(part)) {
      view.parts.bytes += bytes;
      view.parts.entries += list.length;
      lists.set(part, list);
      if (view.parts.entries > MAX_ENTRIES || view.parts.bytes > MAX_LIST_BYTES) {
        // These are more DataProducers or bytes than a host may have.
        view.parts = undefined;
        return undefined;
      }
      this.#link.renew(re);
    }
    if (lists.size >= parts) {
      view.parts = undefined;
      return [...lists.values()].flat();
    }
    // Other parts may be lost.
    view.asking ??= this.#clock.after(PATIENCE, () => {
      view.asking = undefined;
      this.#askSoon(room, view);
    });
    return undefined;
  }

  /**
   * @param {Membership} room
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
   * @param {Membership} room
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
   * @param {Membership} room
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
   * @param {Membership} room
   * @param {Peer} peer
   * @returns {View}
   */
  #viewOf(room, peer) {
    let view = room.views.get(peer);

    if (!view) {
      view = new View(peer);
      peer.rooms += 1;
      room.views.set(peer, view);
      room.lost.delete(peer.host);
    }
    return view;
  }

  /**
   * A peer has said that it is not in a room.
   *
   * @param {Membership} room
   * @param {Peer} peer
   */
  #onLeft(room, peer) {
    room.lost.delete(peer.host);
    this.#forgetView(room, peer, 'left');
    this.#forgetIfAlone(peer);
  }

  /**
   * @param {Membership} room
   * @param {Peer} peer
   * @param {'closed' | 'left' | 'lease'} reason
   */
  #forgetView(room, peer, reason) {
    const view = room.views.get(peer);

    if (view) {
      view.asking?.();
      peer.rooms -= 1;
      room.views.delete(peer);
      if (this.#peers.listensTo(peer.host)) {
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
    if (peer.rooms === 0) {
      this.#peers.gone(peer, 'left');
    }
  }

  /**
   * Asks a peer for its list, unless it has been asked. Of many at once, all but the first wait.
   *
   * @param {Membership} room
   * @param {View} view
   */
  #askSoon(room, view) {
    view.tries = TRIES;
    if (view.asking) {
      return;
    }

    let others = 0;

    for (const { asking } of room.views.values()) {
      others += asking ? 1 : 0;
    }
    if (others === 0) {
      this.#speak(room, view, true);
      return;
    }
    view.asking = this.#clock.after(
      this.#random.next() * Math.min(others * SPREAD, MAX_SPREAD),
      () => this.#speak(room, view, true),
    );
  }

  /**
   * Answers the last question of a peer, and asks it for its list: in one message, as one often brings about the other.
   *
   * @param {Membership} room
   * @param {View} view
   * @param {boolean} asks
   */
  #speak(room, view, asks) {
    const { peer, owed } = view;
    const head = { type: /** @type {const} */ ('list'), room: room.hash };
    const question = asks ? this.#question(room, view) : {};
    const send = (/** @type {object} */ answer) => this.#link.sendTo(peer, { ...head, ...answer });

    if (!owed) {
      send(question);
    } else if (!peer.confirmed) {
      // The peer gets the list once it has shown that it lives. When this question is repeated, its own may be over.
      send(owed.heard ? question : { re: owed.id, ...question });
      owed.heard = true;
    } else if (owed.have === room.seq) {
      view.owed = undefined;
      send({ re: owed.id, seq: room.seq, ...question });
    } else {
      const parts = split([...room.own.values()], this.#limit);

      view.owed = undefined;
      parts.forEach((list, part) => {
        send({
          re: owed.id,
          seq: room.seq,
          part,
          parts: parts.length,
          list,
          ...(part === 0 ? question : {}),
        });
      });
    }
  }

  /**
   * @param {Membership} room
   * @param {View} view
   * @returns {Partial<List>} what asks a peer for its list.
   */
  #question(room, view) {
    const { peer, seq } = view;
    const id = this.#link.question(PATIENCE, {
      peer,
      onTimeout: () => {
        view.asking = undefined;
        view.tries -= 1;
        if (room.views.get(peer) !== view) {
          return;
        }
        if (view.tries > 0) {
          this.#speak(room, view, true);
        } else {
          peer.unanswered = true;
        }
      },
    });

    view.asking?.();
    view.asking = () => this.#link.forget(id);
    return { id, to: peer.epoch, have: seq < 0 ? undefined : seq };
  }

  /** @param {Membership} room */
  #gather(room) {
    room.flushing ??= this.#clock.after(GATHER, () => {
      room.flushing = undefined;
      this.#flush(room);
    });
  }

  /** @param {Membership} room */
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

  /** @param {Membership} room */
  #repeat(room) {
    room.repeating = this.#clock.after(REPEAT * (0.8 + 0.4 * this.#random.next()), () => {
      this.#link.send('room', room.hash, { type: 'state', seq: room.seq });
      for (const view of room.views.values()) {
        view.quiet += 1;
        if (view.quiet >= QUIET) {
          this.#askSoon(room, view);
        }
      }
      for (const host of room.lost) {
        if (!this.#peers.listensTo(host)) {
          room.lost.delete(host);
        }
      }
      this.#repeat(room);
    });
  }

  /**
   * @param {string} id
   * @param {1 | -1} more
   */
  #count(id, more) {
    const count = (this.#own.get(id) ?? 0) + more;

    if (count > 0) {
      this.#own.set(id, count);
    } else {
      this.#own.delete(id);
    }
  }

  /** @param {Membership} room */
  #end(room) {
    room.left = true;
    room.unsubscribe?.();
    room.flushing?.();
    room.repeating?.();
    if (room.asked) {
      this.#link.forget(room.asked);
    }
    for (const id of room.own.keys()) {
      this.#count(id, -1);
    }
    room.own.clear();
    if (this.#rooms.get(room.hash) === room) {
      this.#rooms.delete(room.hash);
    }
    for (const { peer, asking } of room.views.values()) {
      asking?.();
      peer.rooms -= 1;
      this.#forgetIfAlone(peer);
    }
    room.views.clear();
  }
}

exports.Lists = Lists;
