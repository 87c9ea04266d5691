'use strict';

const { Readable } = require('node:stream');

/** Reads the messages of a DataConsumer, from now on. */
class MessageReadable extends Readable {
  #source;
  /** @type {import('./MessageSource').Callback} */
  #onReceived = (received) => {
    if (!received) {
      this.#source.release(this);
    }
    this.push(received ?? null);
  };

  /** @param {import('./MessageSource').MessageSource} source */
  constructor(source) {
    super({ objectMode: true });
    this.#source = source;
    source.open(this);
  }

  toWeb() {
    return Readable.toWeb(this);
  }

  /** @override */
  _read() {
    this.#source.request(this.#onReceived);
  }

  /**
   * @override
   * @param {Error | null} error
   * @param {(error?: Error | null) => void} callback
   */
  _destroy(error, callback) {
    this.#source.cancel([this.#onReceived]);
    this.#source.release(this);
    callback(error);
  }
}

exports.MessageReadable = MessageReadable;
