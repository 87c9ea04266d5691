'use strict';

const { costOf, DELIVERY } = require('./costs');
const symbols = require('../../lib/symbols');

/** @typedef {import('./Simulation').Simulation} Simulation */
/** @typedef {import('./Simulation').SimulatedHost} SimulatedHost */

/**
 * @typedef {object} Subscription
 * @property {SimulatedHost} host
 * @property {(data: Uint8Array) => void} listener
 * @property {Set<Subscription>} among - those of the same subject and region.
 */

/** A bus that counts what passes. While it is down, what is published is lost. */
class SimulatedBus {
  down = false;
  published = { messages: 0, bytes: 0 };
  delivered = { messages: 0, bytes: 0 };
  /** The time that the server's deliveries have taken, in ms. */
  work = 0;
  #simulation;
  /** By subject, and by the region of the subscribers. @type {Map<string, Set<Subscription>[]>} */
  #subscriptions = new Map();
  /** @type {Map<SimulatedHost, Set<Subscription>>} */
  #ofHosts = new Map();

  /** @param {Simulation} simulation */
  constructor(simulation) {
    this.#simulation = simulation;
  }

  /**
   * The bus, as a host has it.
   *
   * @param {SimulatedHost} host
   * @returns {import('../../lib/cluster/types').Bus}
   */
  of(host) {
    return {
      maxPayload: 1024 * 1024,
      publish: (subject, data) => this.#publish(host, subject, data),
      subscribe: async (subject, listener) => this.#subscribe(host, subject, listener),
    };
  }

  /**
   * Ends the subscriptions of a host that has died.
   *
   * @param {SimulatedHost} host
   */
  forget(host) {
    for (const subscription of this.#ofHosts.get(host) ?? []) {
      subscription.among.delete(subscription);
    }
    this.#ofHosts.delete(host);
  }

  /**
   * @param {SimulatedHost} from
   * @param {string} subject
   * @param {Uint8Array} data
   */
  #publish(from, subject, data) {
    const { queue, options } = this.#simulation;

    from.work(costOf(options.costs.send, data.length));
    from.sent.messages += 1;
    from.sent.bytes += data.length;
    if (this.down) {
      return;
    }
    this.published.messages += 1;
    this.published.bytes += data.length;
    for (const [region, subscriptions] of (this.#subscriptions.get(subject) ?? []).entries()) {
      if (subscriptions.size > 0) {
        const latency = options.latency[from.region][region];

        // The message leaves after what the sender's thread has to do before it.
        queue.at(queue.now + from.behind + latency, () => this.#deliver(from, subscriptions, data));
      }
    }
  }

  /**
   * @param {SimulatedHost} from
   * @param {Set<Subscription>} subscriptions
   * @param {Uint8Array} data
   */
  #deliver(from, subscriptions, data) {
    if (this.down) {
      return;
    }

    const { costs } = this.#simulation.options;
    const cost = costOf(costs.receive, data.length);

    for (const subscription of subscriptions) {
      const { host, listener } = subscription;

      if (!this.#simulation.reachesByBus(from, host)) {
        continue;
      }
      this.delivered.messages += 1;
      this.delivered.bytes += data.length;
      this.work += costOf(DELIVERY, data.length);
      host.received.messages += 1;
      host.received.bytes += data.length;
      host.work(cost, () => listener(data));
    }
  }

  /**
   * @param {SimulatedHost} host
   * @param {string} subject
   * @param {(data: Uint8Array) => void} listener
   */
  #subscribe(host, subject, listener) {
    const { options, queue } = this.#simulation;
    const regions = this.#subscriptions.get(subject) ?? options.latency.map(() => new Set());
    const among = regions[host.region];
    const ofHost = this.#ofHosts.get(host) ?? new Set();
    const subscription = { host, listener, among };

    this.#subscriptions.set(subject, regions);
    this.#ofHosts.set(host, ofHost.add(subscription));
    among.add(subscription);
    queue.settle();
    return /** @type {AsyncDisposable} */ ({
      async [symbols.asyncDispose]() {
        among.delete(subscription);
        ofHost.delete(subscription);
      },
    });
  }
}

exports.SimulatedBus = SimulatedBus;
