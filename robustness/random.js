'use strict';

/** Pseudo-random numbers: the same seed gives the same numbers (mulberry32). */
class Random {
  #state;

  /** @param {number} seed */
  constructor(seed) {
    this.#state = seed >>> 0;
  }

  /**
   * An integer below `bound`.
   *
   * @param {number} bound
   */
  below(bound) {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;

    let t = this.#state;

    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) % bound;
  }

  /** @param {number} percent */
  chance(percent) {
    return this.below(100) < percent;
  }

  /**
   * @template T
   * @param {readonly T[]} from
   * @returns {T}
   */
  pick(from) {
    return from[this.below(from.length)];
  }

  /**
   * @template T
   * @param {readonly T[]} values
   * @returns {T[]}
   */
  shuffle(values) {
    const left = [...values];

    return values.map(() => left.splice(this.below(left.length), 1)[0]);
  }
}

exports.Random = Random;
