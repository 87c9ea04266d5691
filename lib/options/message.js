'use strict';

// The global Buffer is a getter, which would cost time for every message.
const { Buffer } = require('node:buffer');
const { types } = require('node:util');

const validate = require('./validate');

// The arguments of `send()`, and the subchannels of a DataConsumer.

/** The most subchannels: the header of a pipe has 16 bits for their number. */
const MAX_SUBCHANNELS = 65_535;

/** To make a typed array takes as long as the native side takes to read so many items of an array. */
const MAX_UNPACKED = 8;

/** How much queues charge for a message beside its payload, in bytes. */
const MESSAGE_CHARGE = 64;

/** SCTP payload protocol ids (RFC 8831, section 8): strings and binary, each also for empty messages. */
const PPID_STRING = 51;
const PPID_BINARY = 53;
const PPID_STRING_EMPTY = 56;
const PPID_BINARY_EMPTY = 57;

/** Throws for a typed array whose memory is gone: its ArrayBuffer was transferred, or resized to less than it needs. */
const { keys: checkMemory } = Uint8Array.prototype;

/**
 * Checks a message.
 *
 * @param {unknown} message
 * @returns {string | Buffer} the message itself, or its bytes.
 */
function parseMessage(message) {
  if (typeof message === 'string') {
    return message;
  }
  // isView() is needed too: it rejects objects that only inherit from Buffer, and Proxies; isBuffer() accepts them.
  if (ArrayBuffer.isView(message) && Buffer.isBuffer(message) && message.length > 0) {
    return message;
  }
  return bytesOf(message);
}

/**
 * @param {unknown} message
 * @returns {Buffer} its bytes, without a copy unless other threads may write to them while the native side reads them.
 */
function bytesOf(message) {
  const view = ArrayBuffer.isView(message) ? message : undefined;

  if (!view && !types.isAnyArrayBuffer(message)) {
    throw validate.wrong('message', message, 'a string, Buffer, ArrayBufferView or ArrayBuffer');
  }
  try {
    if (types.isTypedArray(view)) {
      checkMemory.call(view);
    }

    const bytes = view
      ? Buffer.from(view.buffer, view.byteOffset, view.byteLength)
      : Buffer.from(/** @type {ArrayBuffer} */ (message));

    return types.isSharedArrayBuffer(bytes.buffer) ? Buffer.from(bytes) : bytes;
  } catch {
    throw validate.wrong(
      'message',
      message,
      'an ArrayBuffer, or a view of one, that was not transferred or shrunk',
    );
  }
}

/**
 * @param {import('../..').Payload} message - checked.
 * @param {number[]} [subchannels] - checked.
 * @returns {number} how much queues charge for it, in bytes.
 */
function charge(message, subchannels = []) {
  return Buffer.byteLength(message) + MESSAGE_CHARGE + 2 * subchannels.length;
}

/**
 * Checks the PPID of a message.
 *
 * @param {string | Buffer} message
 * @param {unknown} value - the PPID, if given.
 * @returns {number} the PPID: the given one, or the one that RFC 8831 gives such a message.
 */
function parsePpid(message, value) {
  const empty = message.length === 0;

  if (!validate.given(value)) {
    if (typeof message === 'string') {
      return empty ? PPID_STRING_EMPTY : PPID_STRING;
    }
    return empty ? PPID_BINARY_EMPTY : PPID_BINARY;
  }

  const ppid = validate.integer(value, 'ppid');

  if (empty && ppid !== PPID_STRING_EMPTY && ppid !== PPID_BINARY_EMPTY) {
    throw validate.wrong(
      'ppid',
      ppid,
      `${PPID_STRING_EMPTY} or ${PPID_BINARY_EMPTY} for an empty message`,
    );
  }
  return ppid;
}

/**
 * @param {unknown} value
 * @param {string} name
 * @returns {number}
 */
function parseSubchannel(value, name) {
  return validate.integer(value, name, validate.MAX_UINT16);
}

/**
 * @param {unknown} value
 * @param {string} name
 * @returns {number | undefined}
 */
function parseOptionalSubchannel(value, name) {
  return validate.given(value) ? parseSubchannel(value, name) : undefined;
}

/**
 * @param {unknown} value
 * @returns {number[]}
 */
function parseSubchannels(value) {
  const list = validate.array(value, 'subchannels');
  const { length } = list;

  if (length > MAX_SUBCHANNELS) {
    throw validate.wrong(
      'subchannels',
      value,
      `an array of at most ${MAX_SUBCHANNELS} subchannels`,
    );
  }

  const parsed = [];

  // `map()` would skip holes. `parseSubchannel()` for each number would be slow, as making the name costs more than the
  // check.
  for (let index = 0; index < length; index++) {
    const subchannel = list[index];

    parsed.push(
      Number.isInteger(subchannel) && subchannel >= 0 && subchannel <= validate.MAX_UINT16
        ? subchannel
        : parseSubchannel(subchannel, `subchannels[${index}]`),
    );
  }
  return parsed;
}

/**
 * @param {number[]} subchannels
 * @returns {any} the list as the native side reads it fastest.
 */
function packSubchannels(subchannels) {
  return subchannels.length > MAX_UNPACKED ? new Uint16Array(subchannels) : subchannels;
}

module.exports = {
  charge,
  parseMessage,
  parsePpid,
  parseSubchannel,
  parseOptionalSubchannel,
  parseSubchannels,
  packSubchannels,
};
