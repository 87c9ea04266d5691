'use strict';

// What this host takes from others: one pipe per host, made and closed here, and what is wanted through it.
//
//   idle → creating → asking → connecting → up        (any) → idle, when the pipe breaks or nothing is wanted
//
// A wanted DataProducer gets its stream first, so nothing that the origin sends is dropped. Then it is part of the next
// `want`, of which one at a time waits for its answer, with all that has changed meanwhile in the one after. What is not
// answered is wanted again, under a higher number, so a `want` may be lost, late or doubled.
//
// A path that breaks is made again while its DataProducer lives. `missed` is what the origin had received by the new
// beginning, less what it had by the old one, less what arrived between: an upper bound, as subchannels filter.

const { BEATS } = require('./Peers');
const { split } = require('./messages');

/** How long to wait for an answer, and to gather changes of subchannels, in milliseconds. */
const PATIENCE = 1000;
const GATHER = 50;

/** How long to wait before the next pipe, in milliseconds, by the number of those that have failed. */
const DELAYS = [0, 1000, 2000, 5000];

/** How often all wants are repeated, in milliseconds, in case the origin has lost one. */
const REPEAT = 30_000;

/** @import { Address, Clock, Entry, Given, Pipe, PipeAnswer, Plane, Subchannels, WantItem } from './types' */
/** @import { Link } from './Link' */
/** @import { Peers } from './Peers' */

/**
 * What is called for a DataProducer that is wanted.
 *
 * @typedef {object} Taker
 * @property {() => void} ready - messages arrive from now on. Called once.
 * @property {(error: Error) => void} failed - the origin does not have it.
 * @property {(atMost: number) => void} missed - so many messages were lost with a path.
 */

class Item {
  /** Grows with each change; the one that the origin has confirmed. */
  version = 1;
  confirmed = 0;
  /** Whether the change is about subchannels only, and can wait for more. */
  patient = false;
  /** @type {'none' | 'taking' | 'taken'} */
  stream = 'none';
  streamId = 0;
  /** What the DataProducer of this host had received when the stream began. */
  received = 0;
  /** What the counters on both sides were when the last stream began. @type {{ at: number, received: number } | undefined} */
  began;
  ready = false;

  /**
   * @param {Entry} entry
   * @param {Subchannels | null} wanted
   * @param {Taker} taker
   */
  constructor(entry, wanted, taker) {
    this.entry = entry;
    this.wanted = wanted;
    this.taker = taker;
  }
}

/** What is taken from a host. */
class Source {
  /** @type {'idle' | 'creating' | 'asking' | 'connecting' | 'up'} */
  state = 'idle';
  /** @type {Map<string, Item>} */
  items = new Map();
  /** @type {Pipe | undefined} */
  pipe;
  number = 0;
  gen = 0;
  /** Pipes that have failed, since one was up for a lease; ticks that this one has been up for, and beats it was silent for. */
  failures = 0;
  age = 0;
  silent = 0;
  /** Ends the wait for an answer or for the next try. @type {(() => void) | undefined} */
  waiting;
  /** Whether a `want` waits for its answer. */
  busy = false;
  /** @type {(() => void) | undefined} */
  gathering;

  /** @param {string} host */
  constructor(host) {
    this.host = host;
  }
}

class Takes {
  /** Pipes that have failed, or could not be made. */
  broken = 0;
  #link;
  #clock;
  #peers;
  #plane;
  #limit;
  /** @type {Map<string, Source>} */
  #sources = new Map();
  /** Numbers the pipes of this host. */
  #pipes = 0;
  /** @type {(() => void) | undefined} */
  #repeating;

  /**
   * @param {object} options
   * @param {Link} options.link
   * @param {Clock} options.clock
   * @param {Peers} options.peers
   * @param {Plane} options.plane
   * @param {number} options.limit - the most bytes of items in a message.
   */
  constructor({ link, clock, peers, plane, limit }) {
    this.#link = link;
    this.#clock = clock;
    this.#peers = peers;
    this.#plane = plane;
    this.#limit = limit;
  }

  start() {
    this.#repeating = this.#clock.after(REPEAT, () => {
      this.#repeat();
      this.start();
    });
  }

  /**
   * @param {string} host
   * @param {Entry} entry
   * @param {Subchannels} subchannels
   * @param {Taker} taker
   */
  want(host, entry, subchannels, taker) {
    let source = this.#sources.get(host);

    if (!source) {
      source = new Source(host);
      this.#sources.set(host, source);
    }

    const former = source.items.get(entry.id);

    if (former && former.wanted !== null) {
      throw new Error(`${entry.id} is wanted already`);
    }
    // One that is being released keeps its stream.
    if (former) {
      Object.assign(former, { taker, wanted: subchannels, ready: false, patient: false });
      former.began = undefined;
      former.version += 1;
    } else {
      source.items.set(entry.id, new Item(entry, subchannels, taker));
    }
    this.#advance(source);
  }

  /**
   * @param {string} host
   * @param {string} id
   * @param {Subchannels} subchannels
   */
  change(host, id, subchannels) {
    const source = this.#sources.get(host);
    const item = source?.items.get(id);

    if (source && item && item.wanted !== null && !same(item.wanted, subchannels)) {
      item.patient = item.confirmed === item.version || item.patient;
      if ((item.wanted === true) !== (subchannels === true)) {
        // A stream either filters or does not.
        item.stream = 'none';
        item.patient = false;
      }
      item.wanted = subchannels;
      item.version += 1;
      this.#advance(source);
    }
  }

  /**
   * Wants a DataProducer no more.
   *
   * @param {string} host
   * @param {string} id
   */
  release(host, id) {
    const source = this.#sources.get(host);
    const item = source?.items.get(id);

    if (source && item && item.wanted !== null) {
      item.wanted = null;
      item.version += 1;
      item.patient = false;
      this.#untake(item);
      this.#advance(source);
    }
  }

  /**
   * For how many milliseconds nothing had come from a host through its pipe at the last tick.
   *
   * @param {string} host
   */
  silence(host) {
    return this.#sources.get(host)?.pipe?.silence ?? Infinity;
  }

  /**
   * Looks for pipes that are silent.
   *
   * @param {number} beat - in milliseconds.
   */
  tick(beat) {
    for (const source of this.#sources.values()) {
      source.pipe?.look();
      if (source.state === 'up' && source.pipe) {
        source.age += 1;
        // At most a beat per tick: a pause of this process is not the silence of the host.
        source.silent = Math.min(source.silent + 1, source.pipe.silence / beat);
        // An idle pipe is heard of within that.
        if (source.age > BEATS && source.silent < 2) {
          source.failures = 0;
        }
        if (source.silent >= BEATS) {
          this.#break(source);
        }
      }
    }
  }

  /** Repeats all wants: the bus may have lost some. */
  #repeat() {
    for (const source of this.#sources.values()) {
      for (const item of source.items.values()) {
        item.version += 1;
        item.patient = false;
      }
      this.#advance(source);
    }
  }

  /**
   * A host is gone: nothing of it can be taken.
   *
   * @param {string} host
   */
  drop(host) {
    const source = this.#sources.get(host);

    if (source) {
      this.#sources.delete(host);
      for (const item of source.items.values()) {
        if (item.wanted !== null) {
          this.#untake(item);
          item.taker.failed(new Error(`host ${host} is gone`));
        }
      }
      source.items.clear();
      this.#end(source);
    }
  }

  close() {
    this.#repeating?.();
    for (const host of [...this.#sources.keys()]) {
      this.drop(host);
    }
  }

  /** For getStats(). */
  *stats() {
    for (const { host, state, items, failures } of this.#sources.values()) {
      yield { host, state, wanted: items.size, failures };
    }
  }

  /**
   * Does what comes next for a host.
   *
   * @param {Source} source
   */
  #advance(source) {
    if (source.items.size === 0) {
      this.#sources.delete(source.host);
      this.#end(source);
    } else if (source.state === 'idle' && !source.waiting) {
      this.#create(source);
    } else if (source.state === 'up') {
      this.#takeAll(source);
      this.#flush(source);
    }
  }

  /** @param {Source} source */
  #create(source) {
    // Releases need no pipe: the origin has lost what went through the former one.
    for (const [id, item] of source.items) {
      if (item.wanted === null) {
        source.items.delete(id);
      }
    }
    if (source.items.size === 0) {
      this.#advance(source);
      return;
    }
    this.#pipes += 1;
    source.state = 'creating';
    source.number = this.#pipes;

    const { number } = source;

    this.#plane.createPipe((_, pipe) => {
      if (!this.#isCurrent(source, number)) {
        pipe?.close();
        return;
      }
      if (!pipe) {
        this.#break(source);
        return;
      }
      source.pipe = pipe;
      pipe.onclosed = () => this.#isCurrent(source, number) && this.#break(source);
      pipe.onstreamclosed = (id) => this.#onStreamClosed(source, number, id);
      this.#askForPipe(source, pipe, DELAYS.length);
    });
  }

  /**
   * @param {Source} source
   * @param {number} number
   */
  #isCurrent(source, number) {
    return this.#sources.get(source.host) === source && source.number === number;
  }

  /**
   * @param {Source} source
   * @param {Pipe} pipe
   * @param {number} tries
   */
  #askForPipe(source, pipe, tries) {
    const peer = this.#peers.get(source.host);

    if (!peer || tries === 0) {
      this.#break(source);
      return;
    }
    source.state = 'asking';
    source.waiting = this.#link.ask(
      peer,
      PATIENCE,
      (id, to) => ({ type: 'pipe', id, to, pipe: source.number, ...pipe.address }),
      (answer) => {
        source.waiting = undefined;
        if (answer) {
          this.#onPiped(source, pipe, /** @type {PipeAnswer} */ (answer));
        } else {
          this.#askForPipe(source, pipe, tries - 1);
        }
      },
    );
  }

  /**
   * @param {Source} source
   * @param {Pipe} pipe
   * @param {PipeAnswer} answer
   */
  #onPiped(source, pipe, { error, address, port, fingerprint }) {
    if (error !== undefined || port === undefined) {
      this.#break(source);
      return;
    }

    const { number } = source;

    source.state = 'connecting';
    source.age = 0;
    source.silent = 0;
    source.waiting = this.#clock.after(PATIENCE * DELAYS.length, () => {
      source.waiting = undefined;
      this.#break(source);
    });
    pipe.connect(/** @type {Address} */ ({ address, port, fingerprint }), 'taker', (failed) => {
      if (!this.#isCurrent(source, number) || source.state !== 'connecting') {
        return;
      }
      source.waiting?.();
      source.waiting = undefined;
      if (failed) {
        this.#break(source);
        return;
      }
      source.state = 'up';
      this.#advance(source);
    });
  }

  /**
   * Makes the streams of what is wanted.
   *
   * @param {Source} source
   */
  #takeAll(source) {
    const { number, pipe } = source;

    for (const item of source.items.values()) {
      if (item.wanted === null || item.stream !== 'none') {
        continue;
      }
      item.stream = 'taking';
      pipe?.take(item.entry, (error, taken) => {
        if (this.#sources.get(source.host)?.items.get(item.entry.id) === undefined) {
          // It is wanted no more.
          this.#plane.untake(item.entry.id);
          return;
        }
        if (!this.#isCurrent(source, number) || item.stream !== 'taking') {
          return;
        }
        if (taken) {
          Object.assign(item, { stream: 'taken', ...taken });
          this.#flush(source);
        } else {
          item.stream = 'none';
          this.#fail(source, item, error ?? new Error('no stream'));
        }
      });
    }
  }

  /**
   * Sends the next `want`, if anything has changed.
   *
   * @param {Source} source
   */
  #flush(source) {
    const peer = this.#peers.get(source.host);
    const changed = [...source.items.values()].filter(
      (item) =>
        item.confirmed !== item.version && (item.wanted === null || item.stream === 'taken'),
    );

    if (source.state !== 'up' || source.busy || !peer || changed.length === 0) {
      return;
    }
    if (changed.every((item) => item.patient)) {
      source.gathering ??= this.#clock.after(GATHER, () => {
        source.gathering = undefined;
        for (const item of source.items.values()) {
          item.patient = false;
        }
        this.#flush(source);
      });
      return;
    }

    const [items] = split(
      changed.map(
        ({ entry, wanted, streamId, began }) =>
          /** @type {WantItem} */ (
            wanted === null ? [entry.id, null] : [entry.id, wanted, streamId, began !== undefined]
          ),
      ),
      this.#limit,
    );
    const sent = changed
      .slice(0, items.length)
      .map((item) => ({ item, version: item.version, streamId: item.streamId }));

    source.busy = true;
    source.gen += 1;
    source.waiting = this.#link.ask(
      peer,
      PATIENCE,
      (id, to) => ({ type: 'want', id, to, pipe: source.number, gen: source.gen, items }),
      (answer) => {
        source.waiting = undefined;
        source.busy = false;
        this.#onGiven(source, sent, /** @type {Given | undefined} */ (answer));
      },
    );
  }

  /**
   * @param {Source} source
   * @param {{ item: Item, version: number, streamId: number }[]} sent
   * @param {Given | undefined} answer - undefined if none has come.
   */
  #onGiven(source, sent, answer) {
    if (answer?.error !== undefined) {
      // The origin has lost the pipe.
      this.#break(source);
      return;
    }

    const given = new Map(answer?.items);

    for (const { item, version, streamId } of answer ? sent : []) {
      const { id } = item.entry;
      const at = given.get(id) ?? null;

      if (source.items.get(id) !== item) {
        continue;
      }
      item.confirmed = version;
      if (item.wanted !== null && at !== null) {
        // The stream may have changed since.
        if (item.stream === 'taken' && item.streamId === streamId) {
          this.#onBegan(item, at);
        }
      } else if (item.version === version) {
        if (item.wanted === null) {
          source.items.delete(id);
        } else {
          this.#fail(source, item, new Error(`host ${source.host} has no ${id}`));
        }
      }
    }
    this.#advance(source);
  }

  /**
   * @param {Item} item
   * @param {number} at
   */
  #onBegan(item, at) {
    const { began, received } = item;

    item.began = { at, received };
    if (!item.ready) {
      item.ready = true;
      item.taker.ready();
    } else if (began) {
      const missed = at - began.at - (received - began.received);

      if (missed > 0) {
        item.taker.missed(missed);
      }
    }
  }

  /**
   * @param {Source} source
   * @param {number} number
   * @param {string} id
   */
  #onStreamClosed(source, number, id) {
    const item = source.items.get(id);

    if (this.#isCurrent(source, number) && item?.stream === 'taken') {
      item.stream = 'none';
      item.version += 1;
      item.patient = false;
      this.#advance(source);
    }
  }

  /**
   * @param {Source} source
   * @param {Item} item
   * @param {Error} error
   */
  #fail(source, item, error) {
    source.items.delete(item.entry.id);
    this.#untake(item);
    item.taker.failed(error);
  }

  /** @param {Item} item */
  #untake(item) {
    item.stream = 'none';
    this.#plane.untake(item.entry.id);
  }

  /**
   * The pipe has failed: makes another one.
   *
   * @param {Source} source
   */
  #break(source) {
    const delay = DELAYS[Math.min(source.failures, DELAYS.length - 1)];

    source.failures += 1;
    this.broken += 1;
    this.#end(source);
    for (const item of source.items.values()) {
      item.stream = 'none';
      item.version += 1;
      item.patient = false;
    }
    source.waiting = this.#clock.after(delay, () => {
      source.waiting = undefined;
      this.#advance(source);
    });
  }

  /** @param {Source} source */
  #end(source) {
    source.waiting?.();
    source.waiting = undefined;
    source.gathering?.();
    source.gathering = undefined;
    source.busy = false;
    source.state = 'idle';
    source.number = 0;
    source.pipe?.close();
    source.pipe = undefined;
  }
}

/**
 * @param {Subchannels} one
 * @param {Subchannels} other
 */
function same(one, other) {
  return JSON.stringify(one) === JSON.stringify(other);
}

exports.Takes = Takes;
