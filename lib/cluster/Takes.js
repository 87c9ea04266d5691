'use strict';

// What this host takes from others: one pipe per host, made and closed here, and what is wanted through it.
//
//   idle → creating → asking → connecting → up        (any) → idle, when the pipe breaks or nothing is wanted
//
// A pipe goes over UDP; after three that failed, over the bus ('carrier'). While the bus carries, another pipe over UDP
// is tried each minute, beside the one that is in use, and takes its place once it works.
//
// A wanted DataProducer gets its stream first, so nothing that the origin sends is dropped. Then it is part of the next
// `want`, of which one at a time waits for its answer, with all that has changed meanwhile in the one after. What is
// not answered is wanted again, under a higher number, so a `want` may be lost, late or doubled.
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

/** How long a pipe may take to be made, and to connect, in milliseconds. */
const CREATING = 5000;
const CONNECTING = 4000;

/** How often the origin is asked to make its end of a pipe, and to send what it could not. */
const TRIES = 4;

/** How many pipes fail in a row before another carrier is tried, or what never was ready fails. */
const FAILURES = 3;

/** How many wants stay without answer before what never was ready fails. */
const UNANSWERED = 12;

/** While the bus carries, how often UDP is tried, in milliseconds. */
const PROBE = 60_000;

/** How many items a want has at most. */
const MAX_ITEMS = 2000;

/** How often all wants are repeated, in milliseconds, in case the origin has lost one. */
const REPEAT = 30_000;

/** @import { Carrier, Clock, Entry, Given, Pipe, PipeAnswer, Plane, Subchannels, WantItem } from './types' */
/** @import { Link } from './Link' */
/** @import { Peers } from './Peers' */

/**
 * What is called for a DataProducer that is wanted.
 *
 * @typedef {object} TakeListener
 * @property {() => void} ready - messages arrive from now on. Called once.
 * @property {(error: Error) => void} failed - the origin does not have it, or there never was a way to it.
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

/** A pipe, from its making to its end. */
class Connection {
  /** @type {'creating' | 'asking' | 'connecting' | 'up'} */
  state = 'creating';
  /** @type {Pipe | undefined} */
  pipe;
  /** Ends the wait for what comes next. @type {(() => void) | undefined} */
  waiting;
  ended = false;

  /**
   * @param {number} number
   * @param {Carrier} carrier
   */
  constructor(number, carrier) {
    this.number = number;
    this.carrier = carrier;
  }

  end() {
    this.ended = true;
    this.waiting?.();
    this.pipe?.close();
  }
}

/** What is taken from a host. */
class Source {
  /** @type {Map<string, Item>} */
  items = new Map();
  /** @type {Connection | undefined} */
  connection;
  /** The one that tries UDP while the bus carries. @type {Connection | undefined} */
  probe;
  probedAt = 0;
  gen = 0;
  /** Pipes that have failed since one was up for a lease, and why the last one did. */
  failures = 0;
  /** @type {Error | undefined} */
  error;
  /** Ticks that the pipe has been up for, and beats that it was silent for. */
  age = 0;
  silent = 0;
  /** Ends the wait for the next pipe. @type {(() => void) | undefined} */
  retrying;
  /** Ends the wait for the answer to a `want`. @type {(() => void) | undefined} */
  asking;
  /** @type {(() => void) | undefined} */
  gathering;

  /** @param {string} host */
  constructor(host) {
    this.host = host;
  }

  /** The pipe, if it is up. */
  get pipe() {
    return this.connection?.state === 'up' ? this.connection.pipe : undefined;
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
  #carrier;
  #events;
  /** @type {Map<string, Source>} */
  #sources = new Map();
  /** Hosts that UDP did not reach, how often in a row, and what has carried last. @type {Map<string, { blocked: number, carrier: Carrier }>} */
  #unreached = new Map();
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
   * @param {Carrier | 'auto'} options.carrier
   * @param {object} options.events
   * @param {(host: string, carrier: Carrier, why: string) => void} options.events.carrier - messages come another way.
   * @param {(host: string, error: Error, failures: number) => void} options.events.failing - a pipe has failed.
   */
  constructor({ link, clock, peers, plane, limit, carrier, events }) {
    this.#link = link;
    this.#clock = clock;
    this.#peers = peers;
    this.#plane = plane;
    this.#limit = limit;
    this.#carrier = carrier;
    this.#events = events;
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
      source = new Source(host);
      this.#sources.set(host, source);
    }

    const former = source.items.get(entry.id);

    if (former && former.wanted !== null) {
      throw new Error(`${entry.id} is wanted already`);
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
        // A stream either filters or does not.
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
    const source = this.#sources.get(host);

    return Math.min(
      source?.connection?.pipe?.silence ?? Infinity,
      source?.probe?.pipe?.silence ?? Infinity,
    );
  }

  /**
   * Looks for pipes that are silent, and for UDP that works again.
   *
   * @param {number} beat - in milliseconds.
   */
  tick(beat) {
    for (const source of this.#sources.values()) {
      const { connection, probe, pipe } = source;

      connection?.pipe?.look();
      probe?.pipe?.look();
      if (!connection || !pipe) {
        continue;
      }
      source.age += 1;
      // At most a beat per tick: a pause of this process is not the silence of the host.
      source.silent = Math.min(source.silent + 1, pipe.silence / beat);
      // An idle pipe is heard more often than that.
      if (source.age > BEATS && source.silent < 2) {
        this.#onStable(source, connection);
      }
      if (source.silent >= BEATS) {
        this.#onLost(source, connection, silent(), true);
      } else if (
        connection.carrier === 'bus' &&
        this.#carrier === 'auto' &&
        !probe &&
        this.#clock.now() - source.probedAt >= PROBE
      ) {
        source.probedAt = this.#clock.now();
        source.probe = this.#connect(source, 'pipe');
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
   * Forgets a host that is gone, and fails what is wanted of it.
   *
   * @param {string} host
   */
  forget(host) {
    const source = this.#sources.get(host);

    this.#unreached.delete(host);
    if (source) {
      this.#sources.delete(host);
      for (const item of source.items.values()) {
        if (item.wanted !== null) {
          this.#untake(item);
          item.listener.failed(new Error(`host ${host} is gone`));
        }
      }
      source.items.clear();
      this.#end(source);
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
    for (const { host, connection, items, failures, error } of this.#sources.values()) {
      yield {
        host,
        state: connection?.state ?? /** @type {const} */ ('idle'),
        carrier: connection?.carrier ?? this.#carrierFor(host),
        wanted: items.size,
        failures,
        error: error?.message,
      };
    }
  }

  /**
   * Does what comes next for a host.
   *
   * @param {Source} source
   * @param {Iterable<Item>} [changed] - those that may lack a stream.
   */
  #advance(source, changed = source.items.values()) {
    if (source.items.size === 0) {
      this.#sources.delete(source.host);
      this.#end(source);
    } else if (!source.connection && !source.retrying) {
      this.#create(source);
    } else if (source.pipe) {
      for (const item of changed) {
        this.#take(source, source.pipe, item);
      }
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
    } else {
      source.connection = this.#connect(source, this.#carrierFor(source.host));
    }
  }

  /**
   * What to try next.
   *
   * @param {string} host
   * @returns {Carrier}
   */
  #carrierFor(host) {
    if (this.#carrier !== 'auto') {
      return this.#carrier;
    }
    return (this.#unreached.get(host)?.blocked ?? 0) >= FAILURES ? 'bus' : 'pipe';
  }

  /**
   * Makes a pipe.
   *
   * @param {Source} source
   * @param {Carrier} carrier
   */
  #connect(source, carrier) {
    this.#pipes += 1;

    const connection = new Connection(this.#pipes, carrier);

    connection.waiting = this.#clock.after(CREATING, () =>
      this.#onLost(source, connection, new Error('the pipe could not be made within 5 s'), false),
    );
    this.#plane.createPipe(carrier, (error, pipe) => {
      if (connection.ended) {
        pipe?.close();
        return;
      }
      connection.waiting?.();
      if (!pipe) {
        this.#onLost(source, connection, error ?? new Error('no pipe'), true);
        return;
      }
      connection.pipe = pipe;
      pipe.onclosed = (failure) =>
        this.#onLost(source, connection, failure ?? new Error('the host has closed it'), !!failure);
      pipe.onstreamclosed = (id) => this.#onStreamClosed(source, connection, id);
      this.#ask(source, connection, pipe, TRIES);
    });
    return connection;
  }

  /**
   * @param {Source} source
   * @param {Connection} connection
   * @param {Pipe} pipe
   * @param {number} tries
   */
  #ask(source, connection, pipe, tries) {
    const peer = this.#peers.get(source.host);

    if (!peer || tries === 0) {
      this.#onLost(source, connection, new Error('the host does not answer on the bus'), false);
      return;
    }
    connection.state = 'asking';
    connection.waiting = this.#link.ask(
      peer,
      PATIENCE,
      (id, to) => ({ type: 'pipe', id, to, pipe: connection.number, ...pipe.address }),
      (answer) => {
        if (answer) {
          this.#onPiped(source, connection, pipe, /** @type {PipeAnswer} */ (answer));
        } else {
          this.#ask(source, connection, pipe, tries - 1);
        }
      },
    );
  }

  /**
   * @param {Source} source
   * @param {Connection} connection
   * @param {Pipe} pipe
   * @param {PipeAnswer} answer
   */
  #onPiped(source, connection, pipe, { error, address, port, bus, fingerprint = '' }) {
    if (error !== undefined || (bus === undefined) !== (connection.carrier === 'pipe')) {
      this.#onLost(
        source,
        connection,
        new Error(`the host could not make its end (${error})`),
        error === 'failed',
      );
      return;
    }

    const where = bus === undefined ? `from ${address}:${port} by UDP` : 'through the bus';

    connection.state = 'connecting';
    connection.waiting = this.#clock.after(CONNECTING, () =>
      this.#onLost(source, connection, new Error(`no answer ${where} within 4 s`), true),
    );
    pipe.connect({ address, port, bus, fingerprint }, 'taker', (failure) => {
      if (connection.ended || connection.state !== 'connecting') {
        return;
      }
      connection.waiting?.();
      if (failure) {
        this.#onLost(source, connection, failure, true);
      } else {
        connection.state = 'up';
        this.#onUp(source, connection);
      }
    });
  }

  /**
   * @param {Source} source
   * @param {Connection} connection
   */
  #onUp(source, connection) {
    const { host } = source;
    const { carrier } = connection;
    const { blocked = 0, carrier: former } = this.#unreached.get(host) ?? {};

    if (source.probe === connection) {
      source.probe = undefined;
      this.#disconnect(source);
      source.connection = connection;
    }
    source.age = 0;
    source.silent = 0;
    source.probedAt = this.#clock.now();
    if (this.#carrier === 'auto' && carrier !== (former ?? 'pipe')) {
      this.#unreached.set(host, { blocked: carrier === 'pipe' ? FAILURES - 1 : blocked, carrier });
      this.#events.carrier(
        host,
        carrier,
        carrier === 'pipe' ? 'UDP works again' : (source.error?.message ?? 'UDP does not work'),
      );
    }
    this.#advance(source);
  }

  /**
   * A pipe has been up for a lease.
   *
   * @param {Source} source
   * @param {Connection} connection
   */
  #onStable(source, connection) {
    source.failures = 0;
    if (connection.carrier === 'pipe') {
      source.error = undefined;
      this.#unreached.delete(source.host);
    }
  }

  /**
   * A pipe has failed, or could not be made.
   *
   * @param {Source} source
   * @param {Connection} connection
   * @param {Error} error
   * @param {boolean} blocked - whether its carrier is to blame.
   */
  #onLost(source, connection, error, blocked) {
    if (connection.ended) {
      return;
    }
    connection.end();
    if (source.probe === connection) {
      source.probe = undefined;
      return;
    }

    const { host } = source;
    const { carrier } = connection;
    const known = this.#unreached.get(host) ?? { blocked: 0, carrier: 'pipe' };

    this.broken += 1;
    source.failures += 1;
    source.error = error;
    if (carrier === 'bus') {
      // UDP has one try.
      this.#unreached.set(host, { ...known, blocked: FAILURES - 1 });
    } else if (blocked) {
      this.#unreached.set(host, { ...known, blocked: known.blocked + 1 });
    }
    this.#events.failing(host, error, source.failures);
    this.#disconnect(source);

    const other = this.#carrierFor(host) !== carrier;

    if (source.failures >= FAILURES && !(other && carrier === 'pipe')) {
      this.#giveUp(source, error);
    }

    const delay = other ? 0 : DELAYS[Math.min(source.failures - 1, DELAYS.length - 1)];

    source.retrying = this.#clock.after(delay, () => {
      source.retrying = undefined;
      this.#advance(source);
    });
  }

  /**
   * Fails what never was ready: what was is kept until its host is gone.
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
        this.#fail(source, item, error ?? new Error('no stream'));
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
    const number = source.connection?.number;

    if (!source.pipe || number === undefined || source.asking || !peer) {
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
    if (answer?.error !== undefined && source.connection) {
      this.#onLost(source, source.connection, new Error('the host has lost the pipe'), false);
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
          this.#fail(source, item, new Error(`host ${source.host} has no ${id}`));
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
   * @param {Connection} connection
   * @param {string} id
   */
  #onStreamClosed(source, connection, id) {
    const item = source.items.get(id);

    if (source.connection === connection && item?.stream === 'taken') {
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
    if (source.pipe) {
      // The origin may send it.
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

  /**
   * Ends the pipe: everything needs another stream.
   *
   * @param {Source} source
   */
  #disconnect(source) {
    source.connection?.end();
    source.connection = undefined;
    source.asking?.();
    source.asking = undefined;
    source.gathering?.();
    source.gathering = undefined;
    for (const item of source.items.values()) {
      renew(item);
    }
  }

  /** @param {Source} source */
  #end(source) {
    this.#disconnect(source);
    source.probe?.end();
    source.probe = undefined;
    source.retrying?.();
    source.retrying = undefined;
  }
}

const silent = () => new Error('nothing came through the pipe for a lease');

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
