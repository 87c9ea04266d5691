'use strict';

const { Writable } = require('node:stream');
const { types } = require('node:util');

const { charge } = require('./options/message');
const validate = require('./options/validate');

/** After this many charged bytes the stream waits until they are routed. */
const WINDOW = 1024 * 1024;

/**
 * What the stream needs from its DataProducer.
 *
 * @typedef {object} Sink
 * @property {(...args: any[]) => void} send - takes the arguments of `dataProducer.send()`.
 * @property {() => Promise<void>} routed - resolves when what was sent has been routed.
 * @property {(signal: AbortSignal) => Promise<void>} drained - see `dataProducer.drained()`.
 * @property {Set<() => void>} waiting - called, and emptied, at 'drain'.
 * @property {Set<MessageWritable>} open - the streams to destroy when the DataProducer closes.
 */

/**
 * Sends the messages that are written to it:
 *
 *     write() ──► send() ──► callback, or after WINDOW bytes: routed() ──► callback
 *                  └── ERR_SEND_QUEUE_FULL: 'drain' ──► send()
 *     end()   ──► drained() ──► 'finish'
 *
 * While a DataConsumer with the policy 'block' is full, nothing is routed, so the callback waits and `write()` returns
 * false.
 */
class MessageWritable extends Writable {
  #sink;
  /** Charged bytes sent since `routed()` was last awaited. */
  #sent = 0;
  /**
   * Sends the rest of a write. It is in `sink.waiting` while the queue of the DataProducer is full.
   *
   * @type {() => void}
   */
  #retry = () => {};

  #destroyed = new AbortController();
  /**
   * Why the stream ended with its DataProducer.
   *
   * @type {Error | undefined}
   */
  #aborted;

  /** @param {Sink} sink */
  constructor(sink) {
    super({ objectMode: true });
    this.#sink = sink;
    sink.open.add(this);
  }

  toWeb() {
    return Writable.toWeb(this);
  }

  /**
   * Destroys the stream, because its DataProducer has closed. This alone does not end the process of an application
   * that has no 'error' listener.
   *
   * @param {Error} error
   */
  abort(error) {
    this.#aborted = error;
    this.destroy(this.listenerCount('error') > 0 ? error : undefined);
  }

  /**
   * @override
   * @param {any} chunk
   * @param {BufferEncoding} _encoding
   * @param {(error?: Error | null) => void} callback
   */
  _write(chunk, _encoding, callback) {
    try {
      const args = argumentsOf(chunk);

      // A getter of the chunk may have destroyed the stream, or, before a retry, a callback of another one.
      if (this.destroyed) {
        throw this.#aborted ?? this.errored ?? destroyed();
      }
      this.#sink.send(...args);
      this.#sent += charge(args[0], args[2]);
    } catch (error) {
      if (this.destroyed || /** @type {any} */ (error).code !== 'ERR_SEND_QUEUE_FULL') {
        return callback(/** @type {Error} */ (error));
      }
      this.#retry = () => this._write(chunk, _encoding, callback);
      this.#sink.waiting.add(this.#retry);
      return;
    }
    if (this.#sent < WINDOW) {
      return callback();
    }
    this.#sent = 0;
    this.#sink.routed().then(() => callback(), callback);
  }

  /**
   * @override
   * @param {(error?: Error | null) => void} callback
   */
  _final(callback) {
    const { signal } = this.#destroyed;

    this.#sink.drained(signal).then(() => callback(), callback);
  }

  /**
   * @override
   * @param {Error | null} error
   * @param {(error?: Error | null) => void} callback
   */
  _destroy(error, callback) {
    this.#destroyed.abort();
    this.#sink.open.delete(this);
    if (this.#sink.waiting.delete(this.#retry)) {
      // The callback of the write that waits gets the error.
      process.nextTick(this.#retry);
    }
    callback(error);
  }
}

/**
 * @param {any} chunk - a message, or an object that has one.
 * @returns {any[]} the arguments of `send()`.
 */
function argumentsOf(chunk) {
  if (typeof chunk === 'string' || ArrayBuffer.isView(chunk) || types.isAnyArrayBuffer(chunk)) {
    return [chunk];
  }

  const { message, ppid, subchannels, requiredSubchannel, ignoredSubchannel } = validate.object(
    chunk,
    'chunk',
  );

  return [message, ppid, subchannels, requiredSubchannel, ignoredSubchannel];
}

/** What Node.js gives the callbacks of other writes that a destroyed stream does not make. */
function destroyed() {
  const error = new Error('Cannot call write after a stream was destroyed');

  return Object.assign(error, { code: 'ERR_STREAM_DESTROYED' });
}

exports.MessageWritable = MessageWritable;
