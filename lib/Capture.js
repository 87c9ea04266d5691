'use strict';

const { resultOf } = require('./Channel');
const validate = require('./options/validate');
const { beginning, packet, statistics } = require('./pcapng');
const { dispose } = require('./symbols');
const { version } = require('../package.json');

/** @import { Capture as Contract } from '..' */
/** @import { Capture as Native, Transport as NativeTransport } from '../native/binding' */
/** @import { Writable } from 'node:stream' */

/** How many bytes may wait in the writable. Further packets are dropped. */
const MAX_WAITING = 4 * 1024 * 1024;

/** The length of the time in front of each packet. */
const TIME_BYTES = 8;

/**
 * A capture of a transport's SCTP packets.
 *
 * @implements {Contract}
 */
class Capture {
  #core;
  #handle;
  #native;
  #writable;
  #start;
  /** The offset from the worker's clock to the time since 1970, in microseconds. */
  #offset;
  #closed = false;
  #packets = 0;
  #dropped = 0;
  #onClose = () => this.close();
  #onEnd;

  /**
   * @param {import('./Core').Core<NativeTransport>} core
   * @param {number} handle
   * @param {Native} native
   * @param {number} time - of the worker.
   * @param {Writable} writable
   * @param {(capture: Capture) => void} onEnd
   */
  constructor(core, handle, native, time, writable, onEnd) {
    this.#core = core;
    this.#handle = handle;
    this.#native = native;
    this.#writable = writable;
    this.#onEnd = onEnd;
    this.#start = now();
    this.#offset = this.#start - BigInt(time);
    writable.write(beginning(`datasoup ${version}`, `${core.name} ${core.id}`));
    writable.once('close', this.#onClose);
    core.channel.subscribe(handle, {
      onEvent() {},
      onMessage: (message, ppid) => this.#onPacket(message, ppid === 1),
    });
  }

  /**
   * @param {import('./Core').Core<NativeTransport>} core
   * @param {Writable} writable
   * @param {(capture: Capture) => void} onEnd - called once.
   */
  static async begin(core, writable, onEnd) {
    core.debug('transport.capture()');
    core.check('transport.capture');

    const { handle, native, answer } = core.channel.post('transport.capture', (id) =>
      core.native.capture(id),
    );
    const time = resultOf(await answer);

    try {
      core.check('transport.capture');
      validate.writable(writable, 'writable');
    } catch (error) {
      native.close();
      core.channel.flushSoon();
      throw error;
    }
    return new Capture(core, handle, native, time, writable, onEnd);
  }

  get closed() {
    return this.#closed;
  }

  get packets() {
    return this.#packets;
  }

  get packetsDropped() {
    return this.#dropped + this.#native.dropped;
  }

  close() {
    if (this.#closed) {
      return;
    }
    this.#closed = true;
    this.#onEnd(this);
    this.#core.channel.unsubscribe(this.#handle);
    if (!this.#core.closed) {
      this.#native.close();
      this.#core.channel.flushSoon();
    }

    const writable = this.#writable;

    writable.off('close', this.#onClose);
    if (isOpen(writable)) {
      writable.end(
        statistics({
          start: this.#start,
          end: now(),
          received: this.#packets + this.packetsDropped,
          dropped: this.packetsDropped,
        }),
      );
    }
  }

  [dispose]() {
    this.close();
  }

  /**
   * @param {Buffer} message
   * @param {boolean} outbound
   */
  #onPacket(message, outbound) {
    const writable = this.#writable;

    if (!isOpen(writable) || writable.writableLength + message.length > MAX_WAITING) {
      this.#dropped += 1;
      return;
    }
    this.#packets += 1;
    writable.write(
      packet(message.readBigUInt64BE(0) + this.#offset, outbound, message.subarray(TIME_BYTES)),
    );
  }
}

/** @param {Writable} writable */
function isOpen(writable) {
  return !writable.destroyed && !writable.writableEnded;
}

/** Microseconds since 1970. */
function now() {
  return BigInt(Date.now()) * 1000n;
}

exports.Capture = Capture;
