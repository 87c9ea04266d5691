'use strict';

/** Random numbers that a seed repeats (mulberry32). */
class Random {
  #state;

  /** @param {number} seed */
  constructor(seed) {
    this.#state = seed >>> 0;
  }

  /** 0 or more, below 1. */
  next() {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;

    let t = this.#state;

    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  }

  /** @param {number} length */
  bytes(length) {
    const bytes = Buffer.alloc(length);

    for (let index = 0; index < length; index += 1) {
      bytes[index] = this.next() * 256;
    }
    return bytes;
  }

  uuid() {
    const hex = this.bytes(16).toString('hex');

    return hex.replace(/(.{8})(.{4})(.{4})(.{4})(.{12})/, '$1-$2-$3-$4-$5');
  }

  /**
   * Some of the values, in any order.
   *
   * @template T
   * @param {readonly T[]} values
   * @param {number} count
   */
  sample(values, count) {
    const left = [...values];

    return Array.from({ length: count }, () => left.splice(this.next() * left.length, 1)[0]);
  }
}

exports.Random = Random;
