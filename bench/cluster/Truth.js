'use strict';

/** @typedef {import('./Simulation').SimulatedHost} SimulatedHost */

/**
 * @typedef {object} Producer
 * @property {SimulatedHost} host
 * @property {string} room
 * @property {number} since
 * @property {number} gone - Infinity while it lives.
 */

/** Which DataProducers there are, which of them hosts see, and how long it took. */
class Truth {
  /** Since when hosts could know: while a fault lasts they cannot. */
  since = 0;
  /** How long it took until hosts knew of a change, in ms. @type {number[]} */
  delays = [];
  /** How often a host saw a DataProducer that is gone, or the end of one that lives. */
  wrong = 0;
  /** @type {Map<string, Producer>} */
  #producers = new Map();
  /** @type {Map<string, Map<SimulatedHost, number>>} */
  #members = new Map();
  /** @type {Map<SimulatedHost, Set<string>>} */
  #seen = new Map();

  /**
   * @param {SimulatedHost} host
   * @param {string} room
   * @param {number} now
   */
  joined(host, room, now) {
    const members = this.#members.get(room) ?? new Map();

    this.#members.set(room, members.set(host, now));
    this.#seen.set(host, this.#seen.get(host) ?? new Set());
  }

  /**
   * @param {SimulatedHost} host
   * @param {string} id
   * @param {string} room
   * @param {number} since
   */
  announced(host, id, room, since) {
    this.#producers.set(id, { host, room, since, gone: Infinity });
  }

  /**
   * A host has left or died.
   *
   * @param {SimulatedHost} host
   * @param {number} now
   */
  gone(host, now) {
    for (const producer of this.#producers.values()) {
      if (producer.host === host) {
        producer.gone = Math.min(producer.gone, now);
      }
    }
    for (const members of this.#members.values()) {
      members.delete(host);
    }
    this.#seen.delete(host);
  }

  /** @param {string} id */
  has(id) {
    return this.#producers.get(id)?.gone === Infinity;
  }

  /**
   * @param {SimulatedHost} host
   * @param {string} id
   */
  sees(host, id) {
    return this.#seen.get(host)?.has(id) ?? false;
  }

  /**
   * @param {SimulatedHost} host
   * @param {string} id
   * @param {number} now
   */
  saw(host, id, now) {
    const producer = this.#producers.get(id);

    this.#seen.get(host)?.add(id);
    if (producer && this.has(id)) {
      const joined = this.#members.get(producer.room)?.get(host) ?? 0;

      this.delays.push(now - Math.max(producer.since, joined, this.since));
    } else {
      this.wrong += 1;
    }
  }

  /**
   * @param {SimulatedHost} host
   * @param {string} id
   * @param {number} now
   */
  lost(host, id, now) {
    const producer = this.#producers.get(id);

    this.#seen.get(host)?.delete(id);
    if (!producer || this.has(id)) {
      this.wrong += 1;
    } else {
      this.delays.push(now - Math.max(producer.gone, this.since));
    }
  }

  /** How many DataProducers hosts see that are gone, or do not see that are there. */
  errors() {
    let errors = 0;

    for (const [id, { host, room, gone }] of this.#producers) {
      for (const member of this.#members.get(room)?.keys() ?? []) {
        const should = gone === Infinity && member !== host;

        errors += Number(this.sees(member, id) !== should);
      }
    }
    return errors;
  }
}

exports.Truth = Truth;
