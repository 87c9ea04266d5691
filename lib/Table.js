'use strict';

/**
 * Entries by key, in the order of insertion, for entries that come and go during the life of the process.
 *
 * A Table is not a `Map`, as V8 keeps the removed entries of a Map: when a Map resizes, its old table refers to the new
 * one, and an old table that was promoted to the old generation retains all later tables and their entries until the
 * next full garbage collection. The tables of a plain object do not refer to each other.
 *
 * @template {string | number} K - all strings, or all numbers. `values()` has numbers in ascending order instead.
 * @template V - not undefined.
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
   * @returns {V | undefined} the removed value.
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
