'use strict';

const symbols = require('./symbols');

/** @import { MessageIterator as Contract } from '..' */
/** @typedef {import('./MessageSource').Received} Received */

/**
 * Iterates over the messages of a DataConsumer. Messages that come before the first `next()` are lost, as without a
 * listener.
 *
 * @implements {Contract}
 */
class MessageIterator {
  #source;
  #check;
  /** @type {'new' | 'open' | 'done'} */
  #state = 'new';
  /**
   * The calls of `next()` that wait.
   *
   * @type {Set<import('./MessageSource').Callback>}
   */
  #waiting = new Set();

  /**
   * @param {import('./MessageSource').MessageSource} source
   * @param {() => void} check - throws if listeners get the messages.
   */
  constructor(source, check) {
    this.#source = source;
    this.#check = check;
  }

  /** @returns {Promise<IteratorResult<Received, undefined>>} */
  async next() {
    if (this.#state === 'new') {
      this.#check();
      this.#state = 'open';
      this.#source.open(this);
    }
    if (this.#state === 'done') {
      return { value: undefined, done: true };
    }
    return new Promise((resolve) => {
      /** @type {import('./MessageSource').Callback} */
      const callback = (received) => {
        this.#waiting.delete(callback);
        if (received) {
          return resolve({ value: received, done: false });
        }
        this.#end();
        resolve({ value: undefined, done: true });
      };

      this.#waiting.add(callback);
      this.#source.request(callback);
    });
  }

  /** @returns {Promise<IteratorResult<Received, undefined>>} */
  async return() {
    const waiting = [...this.#waiting];

    this.#source.cancel(waiting);
    this.#end();
    for (const callback of waiting) {
      callback(undefined);
    }
    return { value: undefined, done: true };
  }

  [Symbol.asyncIterator]() {
    return this;
  }

  async [symbols.asyncDispose]() {
    await this.return();
  }

  #end() {
    if (this.#state === 'open') {
      this.#source.release(this);
    }
    this.#state = 'done';
  }
}

exports.MessageIterator = MessageIterator;
