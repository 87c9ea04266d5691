'use strict';

// The way of a DataProducer of another host to the Routers of this one: made with the first DataConsumer, and ended some
// time after the last one. Asks for the union of the subchannels that its DataConsumers are subscribed to.

const { MAX_SUBCHANNELS } = require('./messages');

/** For how long DataConsumers get what has come before they close, in milliseconds. */
const DRAIN = 1000;

/** @import { Entry, Subchannels } from './types' */
/** @typedef {import('../Router').Router<any>} Router */
/** @typedef {import('../DataProducer').DataProducer<any>} DataProducer */
/** @typedef {import('../DataConsumer').DataConsumer<any>} DataConsumer */

class Path {
  #host;
  #gateway;
  #linger;
  #onEnd;
  #ready;
  /** DataConsumers and those that are being made, with the subchannels that these will have. @type {Set<number[]>} */
  #holders = new Set();
  /** The DataProducer on each Router. @type {Map<Router, Promise<DataProducer>>} */
  #onRouters = new Map();
  /** The DataProducers on Routers, each with what sends to it from the gateway. @type {Map<DataProducer, DataConsumer>} */
  #copies = new Map();
  /** @type {NodeJS.Timeout | undefined} */
  #lingering;
  #ended = false;

  /**
   * @param {object} options
   * @param {import('./Host').Host} options.host
   * @param {Router} options.gateway
   * @param {number} options.linger
   * @param {string} options.origin - the host of the DataProducer.
   * @param {Entry} options.entry
   * @param {number[]} options.subchannels - of the first DataConsumer.
   * @param {(atMost: number) => void} options.onMissed
   * @param {() => void} options.onEnd
   */
  constructor({ host, gateway, linger, origin, entry, subchannels, onMissed, onEnd }) {
    this.#host = host;
    this.#gateway = gateway;
    this.#linger = linger;
    this.#onEnd = onEnd;
    this.origin = origin;
    this.id = entry.id;
    this.#ready = new Promise((resolve, reject) => {
      host.want(origin, entry, bounded(new Set(subchannels)), {
        ready: () => resolve(undefined),
        failed: (error) => {
          reject(error);
          this.#end();
        },
        missed: onMissed,
      });
    });
    // Each holder gets the error.
    this.#ready.catch(() => {});
  }

  /**
   * Keeps the path until it is called back.
   *
   * @param {number[]} subchannels
   * @returns {{ settle: () => void, release: () => void }} `settle`: the DataConsumer exists, and speaks for itself.
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

  /** Wants the DataProducer no more: what stands behind the path closes. */
  end() {
    if (!this.#ended) {
      this.#host.release(this.origin, this.id);
      this.#end();
    }
  }

  /**
   * Resolves once the DataProducer is on a Router.
   *
   * @param {Router} router
   */
  async reach(router) {
    await this.#ready;

    let making = this.#onRouters.get(router);

    if (!making) {
      making = this.#bring(router);
      this.#onRouters.set(router, making);
      making.then(
        (dataProducer) =>
          dataProducer.observer.once('close', () => {
            this.#copies.delete(dataProducer);
            this.#onRouters.delete(router);
          }),
        () => this.#onRouters.delete(router),
      );
    }
    await making;
  }

  /** Resolves once the DataConsumers have what has come, or after some time. */
  async drained() {
    // First from the gateway to the Routers, then from these.
    const options = { timeout: DRAIN };

    if (this.#copies.size > 0) {
      await Promise.allSettled([...this.#copies.values()].map((each) => each.drained(options)));
      await Promise.allSettled([...this.#copies.keys()].map((each) => each.drained(options)));
    }
  }

  /** @param {Router} router */
  async #bring(router) {
    const piped = await this.#gateway.pipeToRouter({ dataProducerId: this.id, router });
    const dataProducer = /** @type {DataProducer} */ (piped.pipeDataProducer);
    const dataConsumer = /** @type {DataConsumer} */ (piped.pipeDataConsumer);

    this.#copies.set(dataProducer, dataConsumer);
    dataProducer.on('demand', () => this.#update());
    return dataProducer;
  }

  #update() {
    if (!this.#ended) {
      const copies = [...this.#copies.keys()].filter(({ closed }) => !closed);
      const wanted = [...this.#holders, ...copies.map(({ demand }) => demand.subchannels)];

      this.#host.change(this.origin, this.id, bounded(new Set(wanted.flat())));
    }
  }

  #end() {
    if (!this.#ended) {
      this.#ended = true;
      clearTimeout(this.#lingering);
      this.#onEnd();
    }
  }
}

/**
 * @param {Set<number>} subchannels
 * @returns {Subchannels}
 */
function bounded(subchannels) {
  return subchannels.size > MAX_SUBCHANNELS ? true : [...subchannels].sort((a, b) => a - b);
}

exports.Path = Path;
