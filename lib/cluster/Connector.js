'use strict';

// Keeps a pipe to another host, for what is taken from it: makes another one when it breaks.
//
//   idle → creating → asking → connecting → up        (any) → idle, when the pipe breaks
//
// A pipe goes over UDP; after three that failed, over the bus ('carrier'). While the bus carries, another pipe over UDP
// is tried each minute, beside the one that is in use, and takes its place once it works.

const { BEATS } = require('./Peers');

/** How long to wait for an answer, in milliseconds, and how often to ask. */
const PATIENCE = 1000;
const TRIES = 4;

/** How long a pipe may take to be made, and to connect, in milliseconds. */
const CREATING = 5000;
const CONNECTING = 4000;

/** How long to wait before the next pipe, in milliseconds, by the number of those that have failed. */
const DELAYS = [0, 1000, 2000, 5000];

/** How many pipes fail in a row before the other carrier is tried, or there is no hope. */
const FAILURES = 3;

/** While the bus carries, how often UDP is tried, in milliseconds. */
const PROBE = 60_000;

/** @import { Carrier, Clock, Pipe, PipeAnswer, Plane } from './types' */
/** @import { Link } from './Link' */
/** @import { Peers } from './Peers' */

/**
 * @typedef {object} ConnectorEvents
 * @property {() => void} up - there is a pipe. Nothing has a stream on it.
 * @property {() => void} down - the pipe has ended.
 * @property {() => void} retry - it is time for the next one, if it is still needed.
 * @property {(error: Error) => void} hopeless - so many have failed on each carrier that more would fail as well.
 * @property {(id: string) => void} streamclosed - the origin has ended a stream of the pipe.
 */

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

/** What the connectors to all hosts share. */
class Connectors {
  /** Pipes that have failed, or could not be made. */
  broken = 0;
  /**
   * Hosts that UDP did not reach: how often in a row it failed, and which carrier worked last.
   * @type {Map<string, { blocked: number, carrier: Carrier }>}
   */
  unreached = new Map();
  #numbers = 0;

  /**
   * @param {object} options
   * @param {Link} options.link
   * @param {Clock} options.clock
   * @param {Peers} options.peers
   * @param {Plane} options.plane
   * @param {Carrier | 'auto'} options.carrier
   * @param {object} options.events
   * @param {(host: string, carrier: Carrier, why: string) => void} options.events.carrier - the carrier has changed.
   * @param {(host: string, error: Error, failures: number) => void} options.events.failing - a pipe has failed.
   */
  constructor({ link, clock, peers, plane, carrier, events }) {
    this.link = link;
    this.clock = clock;
    this.peers = peers;
    this.plane = plane;
    this.carrier = carrier;
    this.events = events;
  }

  /** Numbers the pipes of this host. */
  nextNumber() {
    this.#numbers += 1;
    return this.#numbers;
  }

  /**
   * Which carrier to try next.
   *
   * @param {string} host
   * @returns {Carrier}
   */
  carrierFor(host) {
    if (this.carrier !== 'auto') {
      return this.carrier;
    }
    return (this.unreached.get(host)?.blocked ?? 0) >= FAILURES ? 'bus' : 'pipe';
  }
}

class Connector {
  #connectors;
  #host;
  #events;
  /** @type {Connection | undefined} */
  #connection;
  /** The connection that tries UDP while the bus carries the messages. @type {Connection | undefined} */
  #probe;
  #probedAt = 0;
  /** Ticks that the pipe has been up for, and beats that it was silent for. */
  #age = 0;
  #silent = 0;
  /** Pipes that have failed since one was up for a lease, and why the last one did. */
  #failures = 0;
  /** @type {Error | undefined} */
  #error;
  /** Ends the wait for the next pipe. @type {(() => void) | undefined} */
  #retrying;

  /**
   * @param {Connectors} connectors
   * @param {string} host
   * @param {ConnectorEvents} events
   */
  constructor(connectors, host, events) {
    this.#connectors = connectors;
    this.#host = host;
    this.#events = events;
  }

  /** The pipe, if it is up. */
  get pipe() {
    return this.#connection?.state === 'up' ? this.#connection.pipe : undefined;
  }

  /** The number of the pipe. */
  get number() {
    return this.#connection?.number ?? 0;
  }

  /** For how many milliseconds nothing had come from the host through a pipe at the last tick. */
  get silence() {
    return Math.min(
      this.#connection?.pipe?.silence ?? Infinity,
      this.#probe?.pipe?.silence ?? Infinity,
    );
  }

  /** For getStats(). */
  get stats() {
    return {
      state: this.#connection?.state ?? /** @type {const} */ ('idle'),
      carrier: this.#connection?.carrier ?? this.#connectors.carrierFor(this.#host),
      failures: this.#failures,
      error: this.#error?.message,
    };
  }

  /** Makes a pipe, unless there is one, or it is not time yet. */
  open() {
    if (!this.#connection && !this.#retrying) {
      this.#connection = this.#connect(this.#connectors.carrierFor(this.#host));
    }
  }

  /**
   * Looks for a pipe that is silent, and for UDP that works again.
   *
   * @param {number} beat - in milliseconds.
   */
  tick(beat) {
    const connection = this.#connection;
    const { pipe } = this;
    const now = this.#connectors.clock.now();

    connection?.pipe?.look();
    this.#probe?.pipe?.look();
    if (!connection || !pipe) {
      return;
    }
    this.#age += 1;
    // At most a beat per tick: a pause of this process is not the silence of the host.
    this.#silent = Math.min(this.#silent + 1, pipe.silence / beat);
    // Even an idle pipe is heard more often than every two beats.
    if (this.#age > BEATS && this.#silent < 2) {
      this.#onStable(connection);
    }
    if (this.#silent >= BEATS) {
      this.#onLost(connection, new Error('nothing came through the pipe for a lease'), true);
    } else if (
      connection.carrier === 'bus' &&
      this.#connectors.carrier === 'auto' &&
      !this.#probe &&
      now - this.#probedAt >= PROBE
    ) {
      this.#probedAt = now;
      this.#probe = this.#connect('pipe');
    }
  }

  /**
   * The origin does not have the pipe: makes another one.
   *
   * @param {Error} error
   */
  fail(error) {
    if (this.#connection) {
      this.#onLost(this.#connection, error, false);
    }
  }

  close() {
    this.#disconnect();
    this.#probe?.end();
    this.#probe = undefined;
    this.#retrying?.();
    this.#retrying = undefined;
  }

  /** @param {Carrier} carrier */
  #connect(carrier) {
    const { clock, plane } = this.#connectors;
    const connection = new Connection(this.#connectors.nextNumber(), carrier);

    connection.waiting = clock.after(CREATING, () =>
      this.#onLost(connection, new Error('the pipe could not be made within 5 s'), false),
    );
    plane.createPipe(carrier, (error, pipe) => {
      if (connection.ended) {
        pipe?.close();
        return;
      }
      connection.waiting?.();
      if (!pipe) {
        this.#onLost(connection, error ?? new Error('no pipe'), true);
        return;
      }
      connection.pipe = pipe;
      pipe.onclosed = (failure) =>
        this.#onLost(connection, failure ?? new Error('the host has closed the pipe'), !!failure);
      pipe.onstreamclosed = (id) => {
        if (connection === this.#connection) {
          this.#events.streamclosed(id);
        }
      };
      this.#ask(connection, pipe, TRIES);
    });
    return connection;
  }

  /**
   * @param {Connection} connection
   * @param {Pipe} pipe
   * @param {number} tries
   */
  #ask(connection, pipe, tries) {
    const { link, peers } = this.#connectors;
    const peer = peers.get(this.#host);

    if (!peer || tries === 0) {
      this.#onLost(connection, new Error('the host does not answer on the bus'), false);
      return;
    }
    connection.state = 'asking';
    connection.waiting = link.ask(
      peer,
      PATIENCE,
      (id, to) => ({ type: 'pipe', id, to, pipe: connection.number, ...pipe.address }),
      (answer) => {
        if (answer) {
          this.#onPiped(connection, pipe, /** @type {PipeAnswer} */ (answer));
        } else {
          this.#ask(connection, pipe, tries - 1);
        }
      },
    );
  }

  /**
   * @param {Connection} connection
   * @param {Pipe} pipe
   * @param {PipeAnswer} answer
   */
  #onPiped(connection, pipe, { error, address, port, bus, fingerprint = '' }) {
    if (error !== undefined || (bus === undefined) !== (connection.carrier === 'pipe')) {
      const failure = new Error(`the host could not make its end of the pipe (${error})`);

      this.#onLost(connection, failure, error === 'failed');
      return;
    }

    const where = bus === undefined ? `from ${address}:${port} by UDP` : 'through the bus';

    connection.state = 'connecting';
    connection.waiting = this.#connectors.clock.after(CONNECTING, () =>
      this.#onLost(connection, new Error(`no answer ${where} within 4 s`), true),
    );
    pipe.connect({ address, port, bus, fingerprint }, 'taker', (failure) => {
      if (connection.ended || connection.state !== 'connecting') {
        return;
      }
      connection.waiting?.();
      if (failure) {
        this.#onLost(connection, failure, true);
      } else {
        connection.state = 'up';
        this.#onUp(connection);
      }
    });
  }

  /** @param {Connection} connection */
  #onUp(connection) {
    const { carrier: wanted, clock, events, unreached } = this.#connectors;
    const { carrier } = connection;
    const { blocked = 0, carrier: former = 'pipe' } = unreached.get(this.#host) ?? {};

    if (this.#probe === connection) {
      this.#probe = undefined;
      this.#disconnect();
      this.#connection = connection;
    }
    this.#age = 0;
    this.#silent = 0;
    this.#probedAt = clock.now();
    if (wanted === 'auto' && carrier !== former) {
      const byUdp = carrier === 'pipe';

      unreached.set(this.#host, { blocked: byUdp ? FAILURES - 1 : blocked, carrier });
      events.carrier(
        this.#host,
        carrier,
        byUdp ? 'UDP works again' : (this.#error?.message ?? 'UDP does not work'),
      );
    }
    this.#events.up();
  }

  /**
   * A pipe has been up for a lease.
   *
   * @param {Connection} connection
   */
  #onStable({ carrier }) {
    this.#failures = 0;
    if (carrier === 'pipe') {
      this.#error = undefined;
      this.#connectors.unreached.delete(this.#host);
    }
  }

  /**
   * A pipe has failed, or could not be made.
   *
   * @param {Connection} connection
   * @param {Error} error
   * @param {boolean} blocked - whether its carrier is to blame.
   */
  #onLost(connection, error, blocked) {
    if (connection.ended) {
      return;
    }
    connection.end();
    if (this.#probe === connection) {
      this.#probe = undefined;
      return;
    }

    const connectors = this.#connectors;
    const { carrier } = connection;

    connectors.broken += 1;
    this.#failures += 1;
    this.#error = error;
    this.#blame(carrier, blocked);
    connectors.events.failing(this.#host, error, this.#failures);
    this.#disconnect();

    const other = connectors.carrierFor(this.#host) !== carrier;
    const delay = other ? 0 : DELAYS[Math.min(this.#failures - 1, DELAYS.length - 1)];

    this.#retrying = connectors.clock.after(delay, () => {
      this.#retrying = undefined;
      this.#events.retry();
    });
    if (this.#failures >= FAILURES && !(other && carrier === 'pipe')) {
      this.#events.hopeless(error);
    }
  }

  /**
   * Remembers which carrier does not work.
   *
   * @param {Carrier} carrier
   * @param {boolean} blocked
   */
  #blame(carrier, blocked) {
    const { unreached } = this.#connectors;
    const known = unreached.get(this.#host) ?? { blocked: 0, carrier: 'pipe' };

    if (carrier === 'bus') {
      // UDP gets one more try before the bus takes over.
      unreached.set(this.#host, { ...known, blocked: FAILURES - 1 });
    } else if (blocked) {
      unreached.set(this.#host, { ...known, blocked: known.blocked + 1 });
    }
  }

  #disconnect() {
    if (this.#connection) {
      this.#connection.end();
      this.#connection = undefined;
      this.#events.down();
    }
  }
}

exports.Connector = Connector;
exports.Connectors = Connectors;
