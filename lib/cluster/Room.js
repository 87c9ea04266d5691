'use strict';

const { EnhancedEventEmitter, emitSafely } = require('../EnhancedEventEmitter');
const { coreOf, isEntity } = require('../Entity');
const { UnsupportedError } = require('../errors');
const { dataProducerOf } = require('../dataProducers');
const { parseInfo, parseText } = require('../options/cluster');
const { parseSubchannels } = require('../options/message');
const symbols = require('../symbols');
const validate = require('../options/validate');

/** @import { Entry } from './types' */
/** @typedef {import('../Router').Router<any>} Router */
/** @typedef {import('../DataProducer').DataProducer<any>} DataProducer */

/**
 * What a Room needs of its Cluster.
 *
 * @typedef {object} Port
 * @property {(room: Room, dataProducer: DataProducer, entry: Entry) => void} announce
 * @property {(id: string) => { router: Router, dataProducer: DataProducer } | undefined} find - of this host.
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
  /** @type {Map<string, Entry>} */
  #entries = new Map();
  /** DataProducers of other Routers of this host, on this one. @type {Map<string, Promise<DataProducer>>} */
  #brought = new Map();

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
    return this.#dataProducers;
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
    if (this.#dataProducers.has(id) || isPiped(dataProducer)) {
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
        `transport must be of the Router of this Room ${validate.got(transport)}`,
      );
    }
    signal?.throwIfAborted();

    const id = `${given.dataProducerId}`.toLowerCase();
    const remote = this.#dataProducers.get(id);
    const local = this.#port.find(id);

    if (local) {
      const dataProducerId = await this.#bring(id, local);

      return transport.consumeData({ ...given, dataProducerId });
    }
    if (!remote) {
      // Rejects with what the transport says of such an id.
      return transport.consumeData(given);
    }
    if (given.overflow === 'block') {
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
      await raced(path.reach(this.#router), signal);

      const dataConsumer = await transport.consumeData(given);

      coreOf(dataConsumer).onClosed(release);
      settle();
      if (signal?.aborted) {
        dataConsumer.close();
        throw signal.reason;
      }
      return dataConsumer;
    } catch (error) {
      release();
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

    // The first of two hosts that claim an id has it.
    if (!this.#dataProducers.has(id)) {
      const remote = { id, host, label, protocol, info: parsed(info) };

      this.#dataProducers.set(id, remote);
      this.#entries.set(id, entry);
      this.#emit('dataproducer', remote);
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
      this.#emit('dataproducergone', remote, reason);
    }
  }

  /**
   * @param {string} id
   * @param {number} atMost
   */
  missed(id, atMost) {
    const remote = this.#dataProducers.get(id);

    if (remote) {
      this.#emit('missed', remote, atMost);
    }
  }

  /** Emits what there is, and all that comes from now on. */
  open() {
    if (!this.#closed) {
      this.#open = true;
      for (const remote of [...this.#dataProducers.values()]) {
        this.#emit('dataproducer', remote);
      }
    }
  }

  /** Without a word to others. */
  end() {
    this.#closed = true;
    this.#dataProducers.clear();
    this.#entries.clear();
  }

  /**
   * Brings a DataProducer of another Router of this host.
   *
   * @param {string} id
   * @param {{ router: Router }} local
   * @returns {Promise<string>} its id here.
   */
  async #bring(id, { router }) {
    if (router === this.#router) {
      return id;
    }

    let bringing = this.#brought.get(id);

    if (!bringing) {
      const keepId = coreOf(router).channel !== coreOf(this.#router).channel;

      bringing = router
        .pipeToRouter({ dataProducerId: id, router: this.#router, keepId })
        .then(({ pipeDataProducer }) => /** @type {DataProducer} */ (pipeDataProducer));
      this.#brought.set(id, bringing);
      bringing.then(
        (dataProducer) => dataProducer.observer.once('close', () => this.#brought.delete(id)),
        () => this.#brought.delete(id),
      );
    }
    return (await bringing).id;
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
    if (this.#open && !this.#closed) {
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

/**
 * @template T
 * @param {Promise<T>} promise
 * @param {AbortSignal | undefined} signal
 * @returns {Promise<T>}
 */
async function raced(promise, signal) {
  if (!signal) {
    return promise;
  }

  /** @type {() => void} */
  let onAbort = () => {};
  const aborted = new Promise((_, reject) => {
    onAbort = () => reject(signal.reason);
    signal.addEventListener('abort', onAbort);
  });

  try {
    return /** @type {T} */ (await Promise.race([promise, aborted]));
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}

exports.Room = Room;
