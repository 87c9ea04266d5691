'use strict';

/**
 * Numbered messages: the first four bytes are the number, big endian, and every other byte is a function of the number
 * and of its position, so that a receiver recognises lost, duplicated, reordered and damaged messages. The file is
 * plain JavaScript, because the process of the WebRTC clients requires it without a compiler.
 *
 * @typedef {object} TallySummary
 * @property {number} count
 * @property {number} bytes
 * @property {number} damaged - messages whose bytes are not as sent
 * @property {number} outOfOrder - undamaged messages whose number is not their position
 * @property {number} distinct - different messages among the undamaged ones
 */

/**
 * Message `number` of `size` bytes.
 *
 * @param {number} number - 0 to 2^32-1
 * @param {number} size - at least 4
 */
function numbered(number, size) {
  const message = Buffer.allocUnsafe(size);
  message.writeUInt32BE(number, 0);
  for (let index = 4; index < size; index++) {
    message[index] = (number + index) & 0xff;
  }
  return message;
}

/**
 * The number of `message`, or -1 if its bytes are not those that `numbered()` writes.
 *
 * @param {Buffer} message
 */
function numberOf(message) {
  if (message.length < 4) {
    return -1;
  }
  const number = message.readUInt32BE(0);
  return numbered(number, message.length).equals(message) ? number : -1;
}

/** Counts numbered messages that should arrive in order, from 0, without a gap. */
class Tally {
  count = 0;
  bytes = 0;
  damaged = 0;
  outOfOrder = 0;
  /** @type {Set<number>} */
  #seen = new Set();

  /** @param {Buffer} message */
  add(message) {
    const number = numberOf(message);
    if (number === -1) {
      this.damaged++;
    } else if (number !== this.count) {
      this.outOfOrder++;
    }
    if (number !== -1) {
      this.#seen.add(number);
    }
    this.count++;
    this.bytes += message.length;
  }

  /**
   * A plain copy, to compare or to send to another process.
   *
   * @returns {TallySummary}
   */
  get summary() {
    const { count, bytes, damaged, outOfOrder } = this;
    return { count, bytes, damaged, outOfOrder, distinct: this.#seen.size };
  }
}

/**
 * The tally of `count` messages of `size` bytes that arrived unchanged and in order.
 *
 * @param {number} count
 * @param {number} size
 * @returns {TallySummary}
 */
function allOf(count, size) {
  return { count, bytes: count * size, damaged: 0, outOfOrder: 0, distinct: count };
}

module.exports = { allOf, numbered, numberOf, Tally };
