'use strict';

// A room for the application: which DataProducers there are, announcing its own, and consuming those of others. Where
// two hosts have announced the same id, the first has it until it is gone.

const { EnhancedEventEmitter, emitSafely } = require('../EnhancedEventEmitter');
const { coreOf, isEntity } = require('../Entity');
const { UnsupportedError } = require('../errors');
const { dataProducerOf } = require('../dataProducers');
const { parseInfo, parseText } = require('../options/cluster');
const { parseSubchannels } = require('../options/message');
const symbols = require('../symbols');
const validate = require('../options/validate');
const { raced } = require('./raced');

/** @import { Entry } from './types' */
/** @typedef {import('../Router').Router<any>} Router */
/** @typedef {import('../DataProducer').DataProducer<any>} DataProducer */

/**
 * What a Room needs of its Cluster.
 *
 * @typedef {object} Port
 * @property {string} host - the name of this host.
 * @property {(room: Room, dataProducer: DataProducer, entry: Entry) => void} announce
 * @property {(remote: Remote, entry: Entry, subchannels: number[]) => import('./Path').Path} path
 * @property {(room: Room) => Promise<void>} leave
 */

/**
 * @typedef {object} Remote
 * @property {string} id
 * @property {string} host
 * @property {string} label
 * @property {string} protocol
 * @property {any} info
 */

/** A room, as the clients of one Router see it: all DataProducers but those of this Router. */
class Room extends EnhancedEventEmitter {
  #name;
  #router;
  #port;
  #closed = false;
  /** Events begin in a macrotask after join() has resolved. */
  #open = false;
  /** @type {Map<string, Remote>} */
  #dataProducers = new Map();
  /** The DataProducers that events have not shown yet. @type {Set<Remote>} */
  #unshown = new Set();
  /** @type {Map<string, Entry>} */
  #entries = new Map();
  /** Ids that have been announced here. @type {Set<string>} */
  #own = new Set();
  /** What hosts have announced under an id that another one has. @type {Map<string, Map<string, Entry>>} */
  #rivals = new Map();

  /**
   * @param {string} name
   * @param {Router} router
   * @param {Port} port
   */
  constructor(name, router, port) {
    super();
    this.#name = name;
    this.#router = router;
    this.#port = port;
  }

  get name() {
    return this.#name;
  }

  get router() {
    return this.#router;
  }

  get closed() {
    return this.#closed;
  }

  get dataProducers() {
    return new Map(this.#dataProducers);
  }

  /**
   * The host of a DataProducer that the room shows.
   *
   * @param {string} id
   */
  hostOf(id) {
    return this.#dataProducers.get(id)?.host;
  }

  /**
   * @param {DataProducer} dataProducer
   * @param {unknown} [info]
   */
  announce(dataProducer, info) {
    if (!isEntity(dataProducer, 'dataProducer')) {
      throw validate.wrongEntity('dataProducer', dataProducer, 'a DataProducer');
    }

    const { id, label, protocol, sctpStreamParameters, retain } = dataProducer;

    this.#check();
    if (dataProducer.closed || dataProducerOf(this.#router.id, id) !== dataProducer) {
      throw new TypeError(
        `dataProducer must be open, and of the Router of this Room ${validate.got(dataProducer)}`,
      );
    }
    if (isPiped(dataProducer)) {
      throw new TypeError(
        `dataProducer came through a pipe: its own host announces it ${validate.got(dataProducer)}`,
      );
    }

    const { ordered = true, maxPacketLifeTime, maxRetransmits } = sctpStreamParameters ?? {};

    this.#port.announce(this, dataProducer, {
      id,
      label: parseText(label, 'label'),
      protocol: parseText(protocol, 'protocol'),
      info: parseInfo(info),
      ordered,
      maxPacketLifeTime,
      maxRetransmits,
      retain,
    });
  }

  /**
   * @param {import('../Transport').Transport<any, any, any>} transport
   * @param {any} options
   */
  async consumeData(transport, options) {
    if (!isEntity(transport, 'transport')) {
      throw validate.wrongEntity('transport', transport, 'a Transport');
    }

    const { signal: givenSignal, ...others } = validate.object(options, 'options');
    const given = /** @type {import('../..').DataConsumerOptions} */ (others);
    const signal = validate.optionalSignal(givenSignal, 'signal');

    this.#check();
    if (transport.internal.routerId !== this.#router.id) {
      throw new TypeError(
        `transport must belong to the Router of this Room ${validate.got(transport)}`,
      );
    }
    signal?.throwIfAborted();

    // If it is not a string, the transport rejects it.
    const id = String(given.dataProducerId).toLowerCase();
    const remote = this.#dataProducers.get(id);

    if (!remote) {
      // A DataProducer of this Router. If there is none, the error is that of the transport.
      return transport.consumeData(given);
    }
    if (given.overflow === 'block' && remote.host !== this.#port.host) {
      throw new UnsupportedError(
        "overflow 'block' cannot hold up a DataProducer of another host: use another policy",
      );
    }

    const subchannels = validate.given(given.subchannels)
      ? parseSubchannels(given.subchannels)
      : [];
    const entry = /** @type {Entry} */ (this.#entries.get(id));
    const path = this.#port.path(remote, entry, subchannels);
    const { settle, release } = path.hold(subchannels);

    try {
      const dataProducerId = await raced(path.reach(this.#router), signal);

      // Another Room of the host may still use the path.
      this.#check();

      const dataConsumer = await transport.consumeData({ ...given, dataProducerId });

      coreOf(dataConsumer).onClosed(release);
      settle();
      if (signal?.aborted) {
        dataConsumer.close();
        throw signal.reason;
      }
      return dataConsumer;
    } catch (error) {
      release();
      signal?.throwIfAborted();
      this.#check();
      throw error;
    }
  }

  /** Leaves the room. */
  async close() {
    if (!this.#closed) {
      this.#closed = true;
      await this.#port.leave(this);
    }
  }

  async [symbols.asyncDispose]() {
    await this.close();
  }

  /**
   * @param {string} host
   * @param {Entry} entry
   */
  add(host, entry) {
    const { id, label, protocol, info } = entry;
    const known = this.#dataProducers.get(id);

    if (known?.host === host) {
      return;
    }
    if (known || this.#own.has(id)) {
      this.#rivals.set(id, (this.#rivals.get(id) ?? new Map()).set(host, entry));
      return;
    }

    const remote = Object.freeze({ id, host, label, protocol, info: parsed(info) });

    this.#dataProducers.set(id, remote);
    this.#entries.set(id, entry);
    if (this.#open) {
      this.#emit('dataproducer', remote);
    } else {
      this.#unshown.add(remote);
    }
  }

  /**
   * @param {string} host
   * @param {string} id
   * @param {'closed' | 'left' | 'lease'} reason
   */
  remove(host, id, reason) {
    const remote = this.#dataProducers.get(id);

    if (remote?.host === host) {
      this.#dataProducers.delete(id);
      this.#entries.delete(id);
      if (!this.#unshown.delete(remote)) {
        this.#emit('dataproducergone', remote, reason);
      }
    } else {
      this.#forgetRival(host, id);
    }
  }

  /**
   * Hides what another host has announced under an id that is now announced here as well: its client has moved here,
   * for example.
   *
   * @param {string} id
   */
  own(id) {
    const remote = this.#dataProducers.get(id);
    const entry = this.#entries.get(id);

    this.#own.add(id);
    if (remote && entry) {
      this.remove(remote.host, id, 'closed');
      this.add(remote.host, entry);
    }
  }

  /**
   * Ends what `own()` began.
   *
   * @param {string} id
   */
  disown(id) {
    this.#own.delete(id);
  }

  /**
   * Shows what another host has announced under an id that has become free.
   *
   * @param {string} id
   */
  promote(id) {
    const [rival] = this.#rivals.get(id) ?? [];

    if (rival && !this.#own.has(id) && !this.#dataProducers.has(id)) {
      const [host, entry] = rival;

      this.#forgetRival(host, id);
      this.add(host, entry);
    }
  }

  /**
   * @param {string} host
   * @param {string} id
   * @param {number} atMost
   */
  missed(host, id, atMost) {
    const remote = this.#dataProducers.get(id);

    if (remote?.host === host && !this.#unshown.has(remote)) {
      this.#emit('missed', remote, atMost);
    }
  }

  /** Begins to emit events: first of what exists already. */
  open() {
    if (!this.#closed) {
      this.#open = true;
      // A listener may close some of those that come after.
      for (const remote of this.#unshown) {
        this.#unshown.delete(remote);
        this.#emit('dataproducer', remote);
      }
    }
  }

  /** Closes the Room. Other hosts do not learn of it from here. */
  end() {
    this.#closed = true;
    this.#unshown.clear();
    this.#dataProducers.clear();
    this.#entries.clear();
    this.#own.clear();
    this.#rivals.clear();
  }

  /**
   * @param {string} host
   * @param {string} id
   */
  #forgetRival(host, id) {
    const rivals = this.#rivals.get(id);

    rivals?.delete(host);
    if (rivals?.size === 0) {
      this.#rivals.delete(id);
    }
  }

  #check() {
    if (this.#closed) {
      throw new Error(`the Room '${this.#name}' is closed`);
    }
  }

  /**
   * @param {string} event
   * @param {...unknown} args
   */
  #emit(event, ...args) {
    if (!this.#closed) {
      emitSafely(this, event, args);
    }
  }
}

/** @param {DataProducer} dataProducer */
function isPiped(dataProducer) {
  const transport = /** @type {any} */ (coreOf(dataProducer).above?.entity);

  return transport?.type === 'pipe';
}

/** @param {string} info */
function parsed(info) {
  try {
    return JSON.parse(info);
  } catch {
    return undefined;
  }
}

exports.Room = Room;
