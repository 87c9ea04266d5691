'use strict';

// The public side of a host: rooms over the protocol (Host.js) and the data plane (DataPlane.js).

const { randomBytes } = require('node:crypto');
const { performance } = require('node:perf_hooks');

const { createWorker } = require('..');
const { EnhancedEventEmitter, emitSafely } = require('../EnhancedEventEmitter');
const { coreOf } = require('../Entity');
const { track } = require('../metrics/clusters');
const { parseClusterOptions, parseJoinOptions } = require('../options/cluster');
const symbols = require('../symbols');
const { DataPlane } = require('./DataPlane');
const { Envelope, epochOf } = require('./envelope');
const { Host } = require('./Host');
const { Subjects, hashOf } = require('./messages');
const { Monitor } = require('./Monitor');
const { Path } = require('./Path');
const { raced } = require('./raced');
const { Relay } = require('./Relay');
const { Room } = require('./Room');
const { whenClosed } = require('./whenClosed');

/** For how long a host that leaves waits until others have what was sent to them, in milliseconds. */
const DRAIN = 5000;

/** @import { Entry } from './types' */
/** @typedef {import('../Router').Router<any>} Router */
/** @typedef {import('../DataProducer').DataProducer<any>} DataProducer */

/**
 * A DataProducer of this host in a room.
 *
 * @typedef {object} Announced
 * @property {Room} room
 * @property {string} hash
 * @property {DataProducer} dataProducer
 * @property {Entry} entry
 * @property {() => void} cancel - ends the wait for the end of the DataProducer.
 */

/** @type {import('./types').Clock} */
const clock = {
  now: () => performance.now(),
  after(ms, call) {
    const timer = setTimeout(call, ms);

    return () => clearTimeout(timer);
  },
};

/** @type {import('./types').RandomNumbers} */
const random = { bytes: randomBytes, next: Math.random };

class Cluster extends EnhancedEventEmitter {
  #host;
  #worker;
  #gateway;
  #plane;
  #linger;
  #monitor;
  /** @type {(() => void) | undefined} */
  #untrack;
  #closed = false;
  /** What close() waits for, once the Cluster leaves. @type {Promise<void> | undefined} */
  #leaving;
  /** By the hash of a room that this host is in or joins: resolves once it is in. @type {Map<string, Promise<void>>} */
  #joined = new Map();
  /** @type {import('./Relay').RelayCounters} */
  #overBus = { bytesSent: 0, bytesReceived: 0, datagramsDropped: 0 };
  /** By hash: the Rooms of this host, one per Router. @type {Map<string, Set<Room>>} */
  #rooms = new Map();
  /** What this host has announced, by the id of the DataProducer. @type {Map<string, Announced[]>} */
  #announced = new Map();
  /** Cancels what a Room waits for: the end of its Router, and to have joined. @type {WeakMap<Room, () => void>} */
  #cancel = new WeakMap();
  /** @type {Map<string, Path>} */
  #paths = new Map();

  /**
   * @param {import('../options/cluster').ClusterOptions} options
   * @param {import('../Worker').Worker<any>} worker
   * @param {Router} gateway
   */
  constructor(options, worker, gateway) {
    super();

    const { bus, secrets, listenInfo, host, prefix, lease, linger, carrier } = options;
    const subjects = new Subjects(prefix);
    const epoch = epochOf(Date.now(), randomBytes(6));
    const say = (/** @type {string} */ event, /** @type {unknown[]} */ ...args) => {
      this.#monitor.event(event, ...args);
      if (!this.#closed) {
        emitSafely(this, event, args);
      }
    };

    this.#worker = worker;
    this.#gateway = gateway;
    this.#linger = linger;
    this.#monitor = new Monitor(host);
    this.#plane = new DataPlane({
      gateway,
      listenInfo,
      lease,
      clock,
      find: (id) => this.#find(id),
      drain: async (id) => this.#paths.get(id)?.drained(),
      openRelay: () =>
        Relay.open({
          bus,
          subjects,
          name: randomBytes(16).toString('hex'),
          counters: this.#overBus,
        }),
    });
    this.#host = new Host({
      host,
      epoch,
      prefix,
      lease,
      carrier,
      bus,
      clock,
      random,
      plane: this.#plane,
      sealer: new Envelope({ secrets, host, epoch }),
      events: {
        hostup: (other) => say('hostup', other),
        hostdown: (other, reason) => say('hostdown', other, reason),
        busdown: () => say('busdown'),
        busup: () => say('busup'),
        incompatible: (other) => say('incompatible', other),
        refused: (reason) => this.#monitor.refused(reason),
        carrier: (other, to, why) => say('carrier', other, to, why),
        failing: (other, error, failures) => this.#monitor.failing(other, error, failures),
        fenced: () => {
          say('fenced');
          this.#end();
        },
        added: (hash, other, entry) => {
          for (const room of this.#rooms.get(hash) ?? []) {
            room.add(other, entry);
          }
        },
        removed: (hash, other, { id }, reason) => this.#onRemoved(hash, other, id, reason),
      },
    });
    worker.on('died', (/** @type {Error} */ error) => this.#onDied(error));
    coreOf(worker).onClosed(() => {
      if (!worker.died) {
        this.#onDied(new Error('the Worker of the Cluster was closed by the application'));
      }
    });
  }

  get host() {
    return this.#host.name;
  }

  get closed() {
    return this.#closed;
  }

  get hosts() {
    return new Map(this.#host.hosts.map((host) => [host, { host }]));
  }

  /** Starts the host. */
  async start() {
    try {
      await this.#host.start();
      this.#check();
    } catch (error) {
      this.#host.close();
      this.#end();
      throw error;
    }
    this.#untrack = track({
      pid: this.#worker.pid,
      counters: () => this.#monitor.counters(this.#host.stats(), { ...this.#overBus }),
      gauges: () => this.#monitor.gauges(this.#host.stats(), this.#sizes()),
    });
  }

  /**
   * @param {string} name
   * @param {any} options
   */
  async join(name, options) {
    const { router, signal, name: checked } = parseJoinOptions(name, options);
    const hash = hashOf(checked);

    this.#check();
    coreOf(router).check('cluster.join');
    signal?.throwIfAborted();

    const rooms = this.#rooms.get(hash) ?? new Set();

    if ([...rooms].some((room) => room.router === router)) {
      throw new Error(`the Router is in the room '${checked}' already`);
    }

    const room = new Room(checked, router, {
      host: this.host,
      announce: (from, dataProducer, entry) => this.#announce(hash, from, dataProducer, entry),
      path: (remote, entry, subchannels) => this.#path(remote, entry, subchannels),
      leave: (from) => this.#leave(hash, from),
    });
    const joined = this.#joined.get(hash) ?? this.#host.lists.join(hash);

    this.#joined.set(hash, joined);
    this.#rooms.set(hash, rooms.add(room));
    this.#addKnown(hash, room);

    const check = () => {
      this.#check();
      coreOf(router).check('cluster.join');
    };
    const ended = new Promise((_, reject) => {
      const cancel = whenClosed(coreOf(router), () => void room.close());

      this.#cancel.set(room, () => {
        cancel();
        try {
          check();
        } catch (error) {
          reject(error);
        }
      });
    });

    try {
      await raced(Promise.race([joined, ended]), signal);
      signal?.throwIfAborted();
      check();
    } catch (error) {
      await room.close();
      throw error;
    }
    setImmediate(() => room.open());
    return room;
  }

  async getStats() {
    return {
      host: this.host,
      ...this.#host.stats(),
      overBus: { ...this.#overBus },
      ...this.#sizes(),
    };
  }

  /** Leaves the cluster, once other hosts have what was sent to them. */
  async close() {
    this.#leaving ??= this.#closed ? Promise.resolve() : this.#drainAndLeave();
    await this.#leaving;
  }

  async [symbols.asyncDispose]() {
    await this.close();
  }

  async #drainAndLeave() {
    this.#closed = true;

    const announced = [...this.#announced.values()].flat();

    // Messages first have to reach the gateway, then other hosts.
    await Promise.allSettled(
      announced.map(({ dataProducer }) => dataProducer.drained({ timeout: DRAIN })),
    );
    await this.#plane.drained(DRAIN);
    await this.#sayBye();
    this.#end();
  }

  async #sayBye() {
    await new Promise((resolve) => this.#host.bye(() => resolve(undefined)));
  }

  /**
   * The Worker is gone, and all pipes with it: the host leaves, so that others need not wait for a lease.
   *
   * @param {Error} error
   */
  #onDied(error) {
    if (!this.#closed) {
      this.#leaving = this.#sayBye();
      this.#end();
      this.#monitor.event('died', error.message);
      emitSafely(this, 'died', [error]);
    }
  }

  #end() {
    this.#closed = true;
    this.#untrack?.();
    this.#untrack = undefined;
    for (const room of [...this.#rooms.values()].flatMap((rooms) => [...rooms])) {
      this.#cancel.get(room)?.();
      room.end();
    }
    for (const { cancel } of [...this.#announced.values()].flat()) {
      cancel();
    }
    this.#rooms.clear();
    this.#announced.clear();
    this.#worker.close();
  }

  #sizes() {
    return {
      rooms: this.#rooms.size,
      paths: this.#paths.size,
    };
  }

  #check() {
    if (this.#closed) {
      throw new Error('the Cluster is closed');
    }
  }

  /** @param {string} id */
  #find(id) {
    const [first] = this.#announced.get(id) ?? [];

    return first && { router: first.room.router, dataProducer: first.dataProducer };
  }

  /**
   * @param {string} hash
   * @param {Room} room
   * @param {DataProducer} dataProducer
   * @param {Entry} entry
   */
  #announce(hash, room, dataProducer, entry) {
    const { id } = entry;
    const list = this.#announced.get(id) ?? [];

    if (list.some((announced) => announced.room === room)) {
      throw new Error(`DataProducer ${id} is announced in the room already`);
    }
    this.#host.lists.announce(hash, entry);

    const cancel = whenClosed(coreOf(dataProducer), () => this.#withdraw(room, id, 'closed'));
    const announced = { room, hash, dataProducer, entry, cancel };
    const former = room.hostOf(id);

    this.#announced.set(id, [...list, announced]);
    room.own(id);
    if (former !== undefined) {
      this.#endUnseen(former, id);
    }
    this.#showOwn(announced);
  }

  /**
   * Shows a DataProducer to the other Rooms of this host, until a listener closes it.
   *
   * @param {Announced} announced
   */
  #showOwn(announced) {
    const { room, hash, entry } = announced;

    for (const other of this.#rooms.get(hash) ?? []) {
      if (other !== room && this.#announced.get(entry.id)?.includes(announced)) {
        other.add(this.host, entry);
      }
    }
  }

  /**
   * @param {Room} room
   * @param {string} id
   * @param {'closed' | 'left'} reason
   */
  #withdraw(room, id, reason) {
    const list = this.#announced.get(id) ?? [];
    const announced = list.find((each) => each.room === room);
    const others = list.filter((each) => each !== announced);

    if (!announced) {
      return;
    }
    announced.cancel();
    if (others.length > 0) {
      this.#announced.set(id, others);
    } else {
      this.#announced.delete(id);
    }
    this.#host.lists.withdraw(announced.hash, id);
    room.disown(id);
    this.#onRemoved(announced.hash, this.host, id, reason);
    // Another Router of this host may have announced the same id, for example for a client that has moved there.
    for (const heir of this.#announced.get(id) ?? []) {
      if (heir.hash === announced.hash && this.#announced.get(id)?.includes(heir)) {
        this.#host.lists.announce(heir.hash, heir.entry);
        this.#showOwn(heir);
      }
    }
  }

  /**
   * @param {string} hash
   * @param {Room} room - which has just joined.
   */
  #addKnown(hash, room) {
    for (const host of this.#host.hosts) {
      for (const entry of this.#host.lists.of(hash, host)) {
        room.add(host, entry);
      }
    }
    for (const list of this.#announced.values()) {
      for (const { hash: other, entry } of list) {
        if (other === hash) {
          room.add(this.host, entry);
        }
      }
    }
  }

  /**
   * @param {string} hash
   * @param {Room} room
   */
  async #leave(hash, room) {
    const rooms = this.#rooms.get(hash);

    if (!rooms?.delete(room)) {
      return;
    }
    this.#cancel.get(room)?.();
    for (const id of [...this.#announced.keys()]) {
      this.#withdraw(room, id, 'left');
    }

    const seen = [...room.dataProducers.values()];

    room.end();
    for (const { host, id } of seen) {
      this.#endUnseen(host, id);
    }
    if (rooms.size === 0) {
      this.#rooms.delete(hash);
      this.#joined.delete(hash);
      this.#host.lists.leave(hash);
    }
  }

  /**
   * @param {string} hash
   * @param {string} host
   * @param {string} id
   * @param {'closed' | 'left' | 'lease'} reason
   */
  #onRemoved(hash, host, id, reason) {
    for (const room of this.#rooms.get(hash) ?? []) {
      room.remove(host, id, reason);
    }
    this.#endUnseen(host, id);
    for (const room of this.#rooms.get(hash) ?? []) {
      room.promote(id);
    }
  }

  /**
   * Ends the path to a DataProducer that no room of this host has.
   *
   * @param {string} host
   * @param {string} id
   */
  #endUnseen(host, id) {
    const path = this.#paths.get(id);
    const seen = [...this.#rooms.values()].some((others) =>
      [...others].some((room) => room.hostOf(id) === host),
    );

    if (path?.origin === host && !seen) {
      path.end();
    }
  }

  /**
   * @param {string} host
   * @param {Entry} entry
   * @returns {import('./Path').Upstream}
   */
  #upstream(host, entry) {
    const { id } = entry;
    const local = host === this.host ? this.#find(id) : undefined;

    if (local) {
      return {
        router: local.router,
        want: (_, { ready }) => ready(),
        change() {},
        release() {},
      };
    }
    return {
      router: this.#gateway,
      want: (subchannels, listener) => this.#host.takes.want(host, entry, subchannels, listener),
      change: (subchannels) => this.#host.takes.change(host, id, subchannels),
      release: () => this.#host.takes.release(host, id),
    };
  }

  /**
   * @param {import('./Room').Remote} remote
   * @param {Entry} entry
   * @param {number[]} subchannels
   */
  #path({ id, host }, entry, subchannels) {
    let path = this.#paths.get(id);

    if (path && path.origin !== host) {
      throw new Error(
        `DataProducer ${id} is still consumed from host ${path.origin}, and this host can consume an id from one host at a time`,
      );
    }
    if (!path) {
      path = new Path({
        id,
        origin: host,
        upstream: this.#upstream(host, entry),
        linger: this.#linger,
        subchannels,
        onMissed: (atMost) => {
          this.#monitor.missed(id, host, atMost);
          for (const room of [...this.#rooms.values()].flatMap((rooms) => [...rooms])) {
            room.missed(host, id, atMost);
          }
        },
        onEnd: () => this.#paths.delete(id),
      });
      if (!path.ended) {
        this.#paths.set(id, path);
      }
    }
    return path;
  }
}

/** @param {unknown} options */
async function createCluster(options) {
  const parsed = parseClusterOptions(options);
  const worker = await createWorker();

  try {
    const gateway = /** @type {any} */ (await worker.createRouter());
    const cluster = new Cluster(parsed, /** @type {any} */ (worker), gateway);

    await cluster.start();
    return cluster;
  } catch (error) {
    worker.close();
    throw error;
  }
}

exports.createCluster = createCluster;
