'use strict';

// Hosts of a cluster in virtual time: the protocol of lib/cluster over a bus and a data plane that are computed. What
// an application would do is done here: each host consumes all that it sees.
//
// Messages of DataProducers are not simulated one by one. A DataProducer sends at a constant rate, so that a number
// says which messages a path has carried: see Stream.

const { epochOf } = require('../../lib/cluster/envelope');
const { Host } = require('../../lib/cluster/Host');
const { EventQueue } = require('./EventQueue');
const { Random } = require('./Random');
const { SimulatedBus } = require('./SimulatedBus');
const { SimulatedPlane } = require('./SimulatedPlane');
const { Truth } = require('./Truth');

/** @typedef {import('../../lib/cluster/types').Entry} Entry */

/**
 * @typedef {object} SimulationOptions
 * @property {number} seed
 * @property {number} lease - in milliseconds.
 * @property {number[][]} latency - one way between regions, in milliseconds. Hosts take turns in them.
 * @property {number} rate - messages per second of each DataProducer.
 * @property {ReturnType<typeof import('./costs').measureControl>} costs
 */

class Simulation {
  queue = new EventQueue();
  /** By name. @type {Map<string, SimulatedHost>} */
  hosts = new Map();
  /** Hosts of different parts have no UDP between them, and mostly no bus. @type {Map<string, number>} */
  #parts = new Map();
  #busIsWhole = true;
  truth = new Truth();
  /** Ends of pipes, by address. @type {Map<string, import('./SimulatedPlane').SimulatedPipe>} */
  pipes = new Map();
  pipeNumber = 0;
  /** How often a host was asked to send on what it has from another one. */
  loops = 0;
  #regions = 0;
  /** Processes that were replaced by another one of the same name. @type {SimulatedHost[]} */
  #dead = [];

  /** @param {SimulationOptions} options */
  constructor(options) {
    this.options = options;
    this.random = new Random(options.seed);
    this.bus = new SimulatedBus(this);
  }

  get now() {
    return this.queue.now;
  }

  /**
   * Starts a host, or a new process of a host that has ended.
   *
   * @param {string} name
   */
  start(name) {
    const former = this.hosts.get(name);
    const region = former?.region ?? this.#regions % this.options.latency.length;

    if (former) {
      this.#dead.push(former);
    } else {
      this.#regions += 1;
    }

    const host = new SimulatedHost(this, name, region);

    this.hosts.set(name, host);
    host.start();
    return host;
  }

  get alive() {
    return [...this.hosts.values()].filter(({ alive }) => alive);
  }

  /**
   * @param {SimulatedHost} one
   * @param {SimulatedHost} other
   */
  reaches(one, other) {
    return (this.#parts.get(one.name) ?? 0) === (this.#parts.get(other.name) ?? 0);
  }

  /**
   * @param {SimulatedHost} one
   * @param {SimulatedHost} other
   */
  reachesByBus(one, other) {
    return this.#busIsWhole || this.reaches(one, other);
  }

  /**
   * @param {SimulatedHost} one
   * @param {SimulatedHost} other
   */
  latency(one, other) {
    return this.options.latency[one.region][other.region];
  }

  /** What hosts have lost so far, those that have died included. */
  totals() {
    const totals = { missed: 0, reported: 0, unreported: 0, duplicates: 0, closed: 0 };

    for (const host of [...this.#dead, ...this.hosts.values()]) {
      const { missed, reported, unreported, duplicates } = host.losses();

      totals.missed += missed;
      totals.reported += reported;
      totals.unreported += unreported;
      totals.duplicates += duplicates;
      totals.closed += host.closed;
    }
    return totals;
  }

  /**
   * Cuts the hosts into parts, or makes them whole.
   *
   * @param {Map<string, number>} parts - of hosts; 0 if one is not named.
   * @param {{ bus?: boolean }} [works] - whether the bus still connects the parts.
   */
  part(parts, { bus = false } = {}) {
    this.#parts = parts;
    this.#busIsWhole = bus;
    for (const host of this.alive) {
      host.plane.onReach();
    }
  }

  /** @param {number} ms */
  async run(ms) {
    await this.queue.runUntil(this.now + ms);
  }
}

/** What a host consumes. */
class Session {
  ready = false;
  /** Messages that 'missed' has reported, those that were lost, and those that came twice. */
  reported = 0;
  missed = 0;
  duplicates = 0;

  /**
   * @param {string} origin
   * @param {Entry} entry
   */
  constructor(origin, entry) {
    this.origin = origin;
    this.entry = entry;
  }
}

/** A process with a host. */
class SimulatedHost {
  alive = true;
  /** CPU time of JavaScript's thread for control messages, in ms, and when it has done what has come so far. */
  cpu = 0;
  #busyUntil = 0;
  sent = { messages: 0, bytes: 0 };
  received = { messages: 0, bytes: 0 };
  /** @type {Map<string, Session>} */
  sessions = new Map();
  /** Own DataProducers: when each began. @type {Map<string, number>} */
  producers = new Map();
  /** Sessions that have ended although their DataProducers live. */
  closed = 0;
  #leaving = false;
  /** @type {string[]} */
  #rooms = [];
  #losses = { missed: 0, reported: 0, duplicates: 0, unreported: 0 };

  /**
   * @param {Simulation} simulation
   * @param {string} name
   * @param {number} region
   */
  constructor(simulation, name, region) {
    const { random, options, truth } = simulation;
    const epoch = epochOf(Math.floor(1e12 + simulation.now), random.bytes(6));

    this.simulation = simulation;
    this.name = name;
    this.region = region;
    this.plane = new SimulatedPlane(this);
    this.host = new Host({
      host: name,
      epoch,
      prefix: 'p',
      lease: options.lease,
      carrier: 'pipe',
      bus: simulation.bus.of(this),
      clock: {
        now: () => simulation.now,
        after: (ms, call) => this.after(ms, call),
      },
      random: { bytes: (length) => random.bytes(length), next: () => random.next() },
      plane: this.plane,
      sealer: new Sealer(name, epoch),
      events: {
        hostup: () => {},
        hostdown: () => {},
        busdown: () => {},
        busup: () => {},
        fenced: () => {},
        incompatible: () => {},
        refused: () => {},
        carrier: () => {},
        failing: () => {},
        added: (_room, host, entry) => {
          truth.saw(this, entry.id, simulation.now);
          this.#want(host, entry);
        },
        removed: (_room, _host, { id }) => {
          truth.lost(this, id, simulation.now);
          this.#release(id);
        },
      },
    });
  }

  start() {
    // Hosts tick at different times.
    this.after(this.simulation.random.next() * (this.simulation.options.lease / 5), () => {
      void this.host.start();
      this.simulation.queue.settle();
    });
  }

  /** @param {string} room */
  join(room) {
    this.#rooms.push(room);
    this.simulation.truth.joined(this, room, this.simulation.now);
    void this.host.lists.join(room);
    this.simulation.queue.settle();
  }

  /**
   * @param {string} room
   * @param {string} id
   */
  announce(room, id) {
    /** @type {Entry} */
    const entry = { id, label: 'chat', protocol: '', info: '{"user":"ann"}', ordered: true };

    this.producers.set(id, this.simulation.now);
    this.simulation.truth.announced(this, id, room, this.simulation.now);
    this.host.lists.announce(room, entry);
  }

  /** Announces one more DataProducer, in the room that it has joined first. */
  announceAnother() {
    const { random } = this.simulation;

    this.announce(this.#rooms[0], random.uuid());
  }

  kill() {
    this.alive = false;
    this.#settle();
    this.plane.kill();
    this.simulation.bus.forget(this);
    this.simulation.truth.gone(this, this.simulation.now);
  }

  /** Leaves, then ends. @param {() => void} done */
  leave(done) {
    this.#leaving = true;
    this.simulation.truth.gone(this, this.simulation.now);
    this.host.bye(() => {
      this.kill();
      done();
    });
  }

  /**
   * Calls a function later, if the process still lives by then.
   *
   * @param {number} ms
   * @param {() => void} call
   */
  after(ms, call) {
    const { queue } = this.simulation;

    return queue.at(queue.now + ms, () => {
      if (this.alive) {
        call();
      }
    });
  }

  /**
   * Keeps JavaScript's thread busy for a time, after what it has to do before, and calls a function as that begins.
   *
   * @param {number} ms
   * @param {() => void} [call]
   */
  work(ms, call) {
    const { now } = this.simulation;
    const start = Math.max(now, this.#busyUntil);

    this.#busyUntil = start + ms;
    this.cpu += ms;
    if (!call) {
      return;
    }
    // A shorter wait would make no difference, but one more event.
    if (start - now < 0.2) {
      call();
    } else {
      this.after(start - now, call);
    }
  }

  /** How far JavaScript's thread is behind, in ms. */
  get behind() {
    return Math.max(0, this.#busyUntil - this.simulation.now);
  }

  /** Paths that are wanted and not ready. */
  get waiting() {
    return [...this.sessions.values()].filter(({ ready }) => !ready).length;
  }

  /** How many messages are lost, and how many were reported as lost, those of ended sessions included. */
  losses() {
    this.#settle();
    return this.#losses;
  }

  #settle() {
    for (const session of this.sessions.values()) {
      this.#count(session);
    }
  }

  /** @param {Session} session */
  #count(session) {
    this.#losses.missed += session.missed;
    this.#losses.reported += session.reported;
    this.#losses.duplicates += session.duplicates;
    this.#losses.unreported += Math.max(0, session.missed - session.reported);
    session.missed = session.reported = session.duplicates = 0;
  }

  /**
   * @param {string} origin
   * @param {Entry} entry
   */
  #want(origin, entry) {
    const { truth } = this.simulation;

    if (this.sessions.has(entry.id)) {
      return;
    }

    const session = new Session(origin, entry);

    this.sessions.set(entry.id, session);
    this.host.takes.want(origin, entry, true, {
      ready: () => {
        session.ready = true;
      },
      failed: () => {
        this.#end(session);
        // An application would consume again what it still sees.
        this.after(1000, () => {
          if (truth.sees(this, entry.id)) {
            this.#want(origin, entry);
          }
        });
      },
      missed: (atMost) => {
        session.reported += atMost;
      },
    });
  }

  /** @param {string} id */
  #release(id) {
    const session = this.sessions.get(id);

    if (session) {
      this.host.takes.release(session.origin, id);
      this.#end(session);
    }
  }

  /** @param {Session} session */
  #end(session) {
    if (this.sessions.get(session.entry.id) === session) {
      this.#count(session);
      this.sessions.delete(session.entry.id);
      if (this.simulation.truth.has(session.entry.id) && !this.#leaving) {
        this.closed += 1;
      }
    }
  }
}

/** A sealed message: who sent it, and its size. What it says is read without a copy. */
class Sealed {
  /**
   * @param {{ host: string, epoch: string, counter: number }} head
   * @param {Uint8Array} message
   */
  constructor(head, message) {
    const text = Buffer.from(message.buffer, message.byteOffset, message.byteLength).toString();

    this.opened = {
      ...head,
      message: /** @type {Buffer} */ (/** @type {unknown} */ ({ toString: () => text })),
    };
    // As Envelope has it: format, key id, epoch, counter, length, host; the tag.
    this.length = 24 + head.host.length + message.length + 16;
  }
}

/** Seals nothing. What sealing costs is charged by the bus. */
class Sealer {
  #counter = 0;

  /**
   * @param {string} host
   * @param {string} epoch
   */
  constructor(host, epoch) {
    this.host = host;
    this.epoch = epoch;
  }

  /**
   * @param {string} _subject
   * @param {Uint8Array} message
   */
  seal(_subject, message) {
    const { host, epoch } = this;

    this.#counter += 1;
    return /** @type {Uint8Array} */ (
      /** @type {unknown} */ (new Sealed({ host, epoch, counter: this.#counter }, message))
    );
  }

  /**
   * @param {string} _subject
   * @param {Uint8Array} bytes
   */
  open(_subject, bytes) {
    return /** @type {Sealed} */ (/** @type {unknown} */ (bytes)).opened;
  }
}

exports.Simulation = Simulation;
exports.SimulatedHost = SimulatedHost;
