'use strict';

/**
 * Entries by key, in the order in which they came, for what comes and goes as long as the process lives.
 *
 * It is not a `Map`, whose removed entries V8 keeps for long: as entries come and go the map moves on from one table to
 * the next, each table refers to the next, and one that has grown old keeps all that came after it, with what was in
 * them, until the next collection of old objects. A plain object's tables know nothing of each other.
 *
 * @template {string | number} K - all of one kind, and numbers in ascending order, or they change places.
 * @template V - anything but undefined.
 */
class Table {
  /** @type {Record<K, V>} */
  #entries = Object.create(null);

  /**
   * @param {K} key
   * @returns {V | undefined}
   */
  get(key) {
    return this.#entries[key];
  }

  /**
   * @param {K} key
   * @param {V} value
   */
  set(key, value) {
    this.#entries[key] = value;
  }

  /**
   * @param {K} key
   * @returns {V | undefined} what it was.
   */
  take(key) {
    const value = this.#entries[key];

    delete this.#entries[key];
    return value;
  }

  /** @returns {V[]} */
  values() {
    return Object.values(this.#entries);
  }

  clear() {
    this.#entries = Object.create(null);
  }
}

exports.Table = Table;
