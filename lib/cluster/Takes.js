'use strict';

// What this host takes from others: a pipe to each host (Connector.js), and what is wanted over it.
//
// A wanted DataProducer gets its stream first, so nothing that the origin sends is dropped. Then it is part of the next
// `want`, of which one at a time waits for its answer, with all that has changed meanwhile in the one after. What is
// not answered is wanted again, under a higher number, so a `want` may be lost, late or doubled.
//
// A path that breaks is made again while its DataProducer lives. `missed` is what the origin had received by the new
// beginning, less what it had by the old one, less what arrived between: an upper bound, as subchannels filter.

const { split } = require('./messages');
const { Connector, Connectors } = require('./Connector');

/** How long to wait for an answer, and to gather changes of subchannels, in milliseconds. */
const PATIENCE = 1000;
const GATHER = 50;

/** How often the origin is asked again for what it could not send. */
const TRIES = 4;

/** After how many unanswered `want`s a take that was never ready fails. */
const UNANSWERED = 12;

/** How many items a want has at most. */
const MAX_ITEMS = 2000;

/** How often all wants are repeated, in milliseconds, in case the origin has lost one. */
const REPEAT = 30_000;

/** @import { Clock, Entry, Given, Pipe, Plane, Subchannels, WantItem } from './types' */
/** @import { Link } from './Link' */
/** @import { Peers } from './Peers' */

/**
 * What is called for a DataProducer that is wanted.
 *
 * @typedef {object} TakeListener
 * @property {() => void} ready - messages arrive from now on. Called once.
 * @property {(error: Error) => void} failed - the origin does not have it, or there never was a way to it.
 * @property {(atMost: number) => void} missed - up to so many messages were lost with a path.
 */

class Item {
  /** Counts the changes of what is wanted. `confirmed`: the last one that the origin has answered. */
  version = 1;
  confirmed = 0;
  /** Whether only subchannels have changed, so that the next `want` may wait until more have. */
  patient = false;
  /** @type {'none' | 'taking' | 'taken'} */
  stream = 'none';
  streamId = 0;
  /** Numbers the streams that were asked for: an answer may belong to a former one. */
  attempt = 0;
  /** Wants in a row without answer, and those that the origin could not fulfil. */
  unanswered = 0;
  refused = 0;
  /** What the DataProducer of this host had received when the stream began. */
  received = 0;
  /** What the counters on both sides were when the last stream began. @type {{ at: number, received: number } | undefined} */
  began;
  ready = false;

  /**
   * @param {Entry} entry
   * @param {Subchannels | null} wanted
   * @param {TakeListener} listener
   */
  constructor(entry, wanted, listener) {
    this.entry = entry;
    this.wanted = wanted;
    this.listener = listener;
  }
}

/** What is taken from a host. */
class Source {
  /** @type {Map<string, Item>} */
  items = new Map();
  gen = 0;
  /** Ends the wait for the answer to a `want`. @type {(() => void) | undefined} */
  asking;
  /** @type {(() => void) | undefined} */
  gathering;

  /**
   * @param {Connectors} connectors
   * @param {string} host
   * @param {(source: Source) => import('./Connector').ConnectorEvents} events
   */
  constructor(connectors, host, events) {
    this.host = host;
    this.connector = new Connector(connectors, host, events(this));
  }
}

class Takes {
  #link;
  #clock;
  #peers;
  #plane;
  #limit;
  #connectors;
  /** @type {Map<string, Source>} */
  #sources = new Map();
  /** @type {(() => void) | undefined} */
  #repeating;

  /**
   * @param {object} options
   * @param {Link} options.link
   * @param {Clock} options.clock
   * @param {Peers} options.peers
   * @param {Plane} options.plane
   * @param {number} options.limit - the most bytes of items in a message.
   * @param {Connectors} options.connectors
   */
  constructor({ link, clock, peers, plane, limit, connectors }) {
    this.#link = link;
    this.#clock = clock;
    this.#peers = peers;
    this.#plane = plane;
    this.#limit = limit;
    this.#connectors = connectors;
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
   * @param {TakeListener} listener
   */
  want(host, entry, subchannels, listener) {
    let source = this.#sources.get(host);

    if (!source) {
      source = new Source(this.#connectors, host, (it) => this.#eventsOf(it));
      this.#sources.set(host, source);
    }

    const former = source.items.get(entry.id);

    if (former && former.wanted !== null) {
      throw new Error(`DataProducer ${entry.id} is taken from host ${host} already`);
    }

    const item = new Item(entry, subchannels, listener);

    // The origin may not know yet that the former item was released.
    item.version = (former?.version ?? 0) + 1;
    source.items.set(entry.id, item);
    this.#advance(source, [item]);
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
        // A stream filters by subchannels or not from its beginning, so another one is needed.
        item.stream = 'none';
        item.patient = false;
      }
      item.wanted = subchannels;
      item.version += 1;
      this.#advance(source, [item]);
    }
  }

  /**
   * Ends what `want()` began.
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
      this.#advance(source, []);
    }
  }

  /**
   * For how many milliseconds nothing had come from a host through its pipe at the last tick.
   *
   * @param {string} host
   */
  silence(host) {
    return this.#sources.get(host)?.connector.silence ?? Infinity;
  }

  /** @param {number} beat - in milliseconds. */
  tick(beat) {
    for (const { connector } of this.#sources.values()) {
      connector.tick(beat);
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
   * Forgets a host that is gone, and fails what is wanted of it.
   *
   * @param {string} host
   */
  forget(host) {
    const source = this.#sources.get(host);

    this.#connectors.unreached.delete(host);
    if (source) {
      this.#sources.delete(host);
      for (const item of source.items.values()) {
        if (item.wanted !== null) {
          this.#untake(item);
          item.listener.failed(new Error(`host ${host} is gone`));
        }
      }
      source.items.clear();
      source.connector.close();
    }
  }

  close() {
    this.#repeating?.();
    for (const host of [...this.#sources.keys()]) {
      this.forget(host);
    }
  }

  /** For getStats(). */
  *stats() {
    for (const { host, connector, items } of this.#sources.values()) {
      yield { host, ...connector.stats, wanted: items.size };
    }
  }

  /**
   * @param {Source} source
   * @returns {import('./Connector').ConnectorEvents}
   */
  #eventsOf(source) {
    return {
      up: () => this.#advance(source),
      retry: () => this.#advance(source),
      down: () => this.#onDown(source),
      hopeless: (error) => this.#giveUp(source, error),
      streamclosed: (id) => this.#onStreamClosed(source, id),
    };
  }

  /**
   * Does what comes next for a host.
   *
   * @param {Source} source
   * @param {Iterable<Item>} [changed] - those that may lack a stream.
   */
  #advance(source, changed = source.items.values()) {
    const { pipe } = source.connector;

    if (!pipe) {
      // Without a pipe nothing has to be released: the origin forgets the wants of a pipe that has ended.
      for (const [id, item] of source.items) {
        if (item.wanted === null) {
          source.items.delete(id);
        }
      }
    }
    if (source.items.size === 0) {
      this.#sources.delete(source.host);
      source.connector.close();
    } else if (pipe) {
      for (const item of changed) {
        this.#take(source, pipe, item);
      }
      this.#flush(source);
    } else {
      source.connector.open();
    }
  }

  /**
   * The pipe has ended: everything needs another stream.
   *
   * @param {Source} source
   */
  #onDown(source) {
    source.asking?.();
    source.asking = undefined;
    source.gathering?.();
    source.gathering = undefined;
    for (const item of source.items.values()) {
      renew(item);
    }
  }

  /**
   * Fails the takes that were never ready. Others are kept until their host is gone.
   *
   * @param {Source} source
   * @param {Error} cause
   */
  #giveUp(source, cause) {
    for (const item of [...source.items.values()]) {
      if (item.wanted !== null && !item.ready) {
        this.#fail(
          source,
          item,
          new Error(`no path to host ${source.host}: ${cause.message}`, { cause }),
        );
      }
    }
  }

  /**
   * Makes the stream of what is wanted and has none.
   *
   * @param {Source} source
   * @param {Pipe} pipe
   * @param {Item} item
   */
  #take(source, pipe, item) {
    const { id } = item.entry;

    if (item.wanted === null || item.stream !== 'none' || source.items.get(id) !== item) {
      return;
    }
    item.stream = 'taking';
    item.attempt += 1;

    const { attempt } = item;

    pipe.take(item.entry, (error, taken) => {
      const current = source.items.get(id) === item && item.attempt === attempt;

      if (!current || item.stream !== 'taking') {
        return;
      }
      if (taken) {
        Object.assign(item, { stream: 'taken', ...taken });
        this.#flush(source);
      } else {
        this.#fail(source, item, error ?? new Error('the pipe has no stream for it'));
        this.#flush(source);
      }
    });
  }

  /**
   * Sends the next `want`, if anything has changed.
   *
   * @param {Source} source
   */
  #flush(source) {
    const peer = this.#peers.get(source.host);
    const { pipe, number } = source.connector;

    if (!pipe || source.asking || !peer) {
      return;
    }

    const changed = [...source.items.values()].filter(
      (item) =>
        item.confirmed !== item.version && (item.wanted === null || item.stream === 'taken'),
    );

    if (changed.length === 0) {
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
      changed
        .slice(0, MAX_ITEMS)
        .map(
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

    source.gen += 1;
    source.asking = this.#link.ask(
      peer,
      PATIENCE,
      (id, to) => ({ type: 'want', id, to, pipe: number, gen: source.gen, items }),
      (answer) => {
        source.asking = undefined;
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
      source.connector.fail(new Error('the host has lost the pipe'));
      return;
    }

    const given = new Map(answer?.items);

    for (const { item, version, streamId } of sent) {
      const { id } = item.entry;
      const at = given.get(id);

      if (source.items.get(id) !== item) {
        continue;
      }
      if (at === undefined) {
        this.#onNotGiven(source, item, answer !== undefined);
        continue;
      }
      item.confirmed = version;
      item.unanswered = 0;
      item.refused = 0;
      if (item.wanted !== null && at !== null) {
        // The stream may have changed since.
        if (item.stream === 'taken' && item.streamId === streamId) {
          this.#onBegan(item, at);
        }
      } else if (item.version === version) {
        if (item.wanted === null) {
          source.items.delete(id);
        } else {
          this.#fail(source, item, new Error(`host ${source.host} has no DataProducer ${id}`));
        }
      }
    }
    this.#advance(source);
  }

  /**
   * @param {Source} source
   * @param {Item} item
   * @param {boolean} refused - whether the origin has answered, and could not send it.
   */
  #onNotGiven(source, item, refused) {
    const { host } = source;

    if (refused) {
      item.refused += 1;
      item.stream = item.wanted === null ? item.stream : 'none';
      if (item.wanted !== null && item.refused >= TRIES) {
        this.#fail(source, item, new Error(`host ${host} could not send ${item.entry.id}`));
      }
    } else {
      item.unanswered += 1;
      if (item.wanted !== null && !item.ready && item.unanswered >= UNANSWERED) {
        this.#fail(source, item, new Error(`host ${host} does not answer on the bus`));
      }
    }
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
      item.listener.ready();
    } else if (began) {
      const missed = at - began.at - (received - began.received);

      if (missed > 0) {
        item.listener.missed(missed);
      }
    }
  }

  /**
   * @param {Source} source
   * @param {string} id
   */
  #onStreamClosed(source, id) {
    const item = source.items.get(id);

    if (item?.stream === 'taken') {
      renew(item);
      this.#advance(source, [item]);
    }
  }

  /**
   * @param {Source} source
   * @param {Item} item
   * @param {Error} error
   */
  #fail(source, item, error) {
    this.#untake(item);
    if (source.connector.pipe) {
      // The origin may send it already: the next `want` says that it is not wanted.
      item.wanted = null;
      item.version += 1;
      item.patient = false;
    } else {
      source.items.delete(item.entry.id);
    }
    item.listener.failed(error);
  }

  /** @param {Item} item */
  #untake(item) {
    item.stream = 'none';
    this.#plane.untake(item.entry.id);
  }
}

/** @param {Item} item - which needs another stream. */
function renew(item) {
  item.stream = 'none';
  item.version += 1;
  item.patient = false;
}

/**
 * @param {Subchannels} one
 * @param {Subchannels} other
 */
function same(one, other) {
  return JSON.stringify(one) === JSON.stringify(other);
}

exports.Takes = Takes;
