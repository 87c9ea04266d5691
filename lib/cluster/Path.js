'use strict';

// The way of a DataProducer to the Routers of this host: by the gateway if it is of another host, directly if it is on
// another Router of this host. A path is made for the first DataConsumer, and ends some time after the last one. It
// asks for the union of the subchannels that its DataConsumers are subscribed to.

const { coreOf } = require('../Entity');
const { NotFoundError } = require('../errors');
const { MAX_SUBCHANNELS } = require('./messages');
const { TUNNEL } = require('./queues');

/** For how long DataConsumers get what has come before they close, in milliseconds. */
const DRAIN = 1000;

/** @import { Subchannels } from './types' */
/** @import { TakeListener } from './Takes' */
/** @typedef {import('../Router').Router<any>} Router */
/** @typedef {import('../DataProducer').DataProducer<any>} DataProducer */
/** @typedef {import('../DataConsumer').DataConsumer<any>} DataConsumer */

/**
 * Where a DataProducer comes from.
 *
 * @typedef {object} Upstream
 * @property {Router} router - has it once it is wanted and ready.
 * @property {(subchannels: Subchannels, listener: TakeListener) => void} want
 * @property {(subchannels: Subchannels) => void} change
 * @property {() => void} release
 */

/**
 * The ids that copies have kept, by Worker: a Worker has an id once.
 *
 * @type {WeakMap<object, Set<string>>}
 */
const keptIds = new WeakMap();

class Path {
  #upstream;
  #linger;
  #onEnd;
  /** Resolves once there is a way, and rejects once there will be none. @type {Promise<void>} */
  #ready;
  /** @type {(error: Error) => void} */
  #reject = () => {};
  /** One for each DataConsumer, until it exists with the subchannels that it will have. @type {Set<number[]>} */
  #holders = new Set();
  /** The DataProducer on each Router. @type {Map<Router, Promise<DataProducer>>} */
  #onRouters = new Map();
  /** The DataProducers on Routers, with the DataConsumers that send to them. @type {Map<DataProducer, DataConsumer>} */
  #copies = new Map();
  /** @type {NodeJS.Timeout | undefined} */
  #lingering;
  #ended = false;

  /**
   * @param {object} options
   * @param {string} options.id
   * @param {string} options.origin - the host of the DataProducer.
   * @param {Upstream} options.upstream
   * @param {number} options.linger
   * @param {number[]} options.subchannels - of the first DataConsumer.
   * @param {(atMost: number) => void} options.onMissed
   * @param {() => void} options.onEnd
   */
  constructor({ id, origin, upstream, linger, subchannels, onMissed, onEnd }) {
    this.id = id;
    this.origin = origin;
    this.#upstream = upstream;
    this.#linger = linger;
    this.#onEnd = onEnd;
    this.#ready = new Promise((resolve, reject) => {
      this.#reject = reject;
      upstream.want(bounded(new Set(subchannels)), {
        ready: resolve,
        failed: (error) => this.#end(error),
        missed: onMissed,
      });
    });
    // The error is for those that call reach().
    this.#ready.catch(() => {});
  }

  get ended() {
    return this.#ended;
  }

  /**
   * Keeps the path until `release()` is called.
   *
   * @param {number[]} subchannels
   * @returns {{ settle: () => void, release: () => void }} `settle`: call it once the DataConsumer exists, whose own
   * subchannels count from then on.
   */
  hold(subchannels) {
    const holder = [...subchannels];

    clearTimeout(this.#lingering);
    this.#holders.add(holder);
    this.#update();
    return {
      settle: () => {
        holder.length = 0;
        this.#update();
      },
      release: () => {
        if (this.#holders.delete(holder) && this.#holders.size === 0 && !this.#ended) {
          this.#lingering = setTimeout(() => this.end(), this.#linger);
          this.#lingering.unref();
        }
      },
    };
  }

  /** Releases the DataProducer. Its copies on the Routers of this host close. */
  end() {
    if (!this.#ended) {
      this.#upstream.release();
      this.#end(this.#gone());
      void this.#close();
    }
  }

  /**
   * Resolves once the DataProducer is on a Router.
   *
   * @param {Router} router
   * @returns {Promise<string>} its id there.
   */
  async reach(router) {
    await this.#ready;

    let making = this.#onRouters.get(router);

    if (!making) {
      making = this.#bring(router);
      this.#onRouters.set(router, making);
      making.then(
        (dataProducer) =>
          coreOf(dataProducer).onClosed(() => {
            this.#copies.delete(dataProducer);
            this.#onRouters.delete(router);
          }),
        () => this.#onRouters.delete(router),
      );
    }
    return (await making).id;
  }

  /** Resolves once the DataConsumers have what has come, or after some time. */
  async drained() {
    // Messages first have to reach the Routers, then leave them.
    const options = { timeout: DRAIN };

    if (this.#copies.size > 0) {
      await Promise.allSettled([...this.#copies.values()].map((each) => each.drained(options)));
      await Promise.allSettled([...this.#copies.keys()].map((each) => each.drained(options)));
    }
  }

  /** @param {Router} router */
  async #bring(router) {
    const from = this.#upstream.router;
    const keepId = keep(router, from, this.id);
    const { pipeDataProducer, pipeDataConsumer } = await from
      .pipeToRouter({ ...TUNNEL, dataProducerId: this.id, router, keepId })
      .catch((error) => {
        if (keepId) {
          forget(router, this.id);
        }
        throw error;
      });
    const dataProducer = /** @type {DataProducer} */ (pipeDataProducer);

    if (keepId) {
      coreOf(dataProducer).onClosed(() => forget(router, this.id));
    }
    if (this.#ended) {
      pipeDataConsumer?.close();
      throw this.#gone();
    }
    this.#copies.set(dataProducer, /** @type {DataConsumer} */ (pipeDataConsumer));
    dataProducer.on('demand', () => this.#update());
    return dataProducer;
  }

  #update() {
    if (!this.#ended) {
      const copies = [...this.#copies.keys()].filter(({ closed }) => !closed);
      const wanted = [...this.#holders, ...copies.map(({ demand }) => demand.subchannels)];

      this.#upstream.change(bounded(new Set(wanted.flat())));
    }
  }

  async #close() {
    await this.drained();
    for (const dataConsumer of this.#copies.values()) {
      dataConsumer.close();
    }
  }

  /** @param {Error} error - for those that wait for the path. */
  #end(error) {
    if (!this.#ended) {
      this.#ended = true;
      clearTimeout(this.#lingering);
      this.#reject(error);
      this.#onEnd();
    }
  }

  #gone() {
    return new NotFoundError(`DataProducer ${this.id} of host ${this.origin} is gone`);
  }
}

/**
 * Whether a copy can keep its id: the first one in a Worker can, if the Worker does not have the original.
 *
 * @param {Router} to
 * @param {Router} from
 * @param {string} id
 */
function keep(to, from, id) {
  const { channel } = coreOf(to);
  const ids = keptIds.get(channel) ?? new Set();

  if (channel === coreOf(from).channel || ids.has(id)) {
    return false;
  }
  keptIds.set(channel, ids.add(id));
  return true;
}

/**
 * @param {Router} router
 * @param {string} id
 */
function forget(router, id) {
  keptIds.get(coreOf(router).channel)?.delete(id);
}

/**
 * @param {Set<number>} subchannels
 * @returns {Subchannels}
 */
function bounded(subchannels) {
  return subchannels.size > MAX_SUBCHANNELS ? true : [...subchannels].sort((a, b) => a - b);
}

exports.Path = Path;
