'use strict';

// The global Buffer is a getter, which would cost time for every message.
const { Buffer } = require('node:buffer');

const validate = require('./validate');

// The arguments of `send()`, and the subchannels of a DataConsumer.

/** The most subchannels: the header of a pipe has 16 bits for their number. */
const MAX_SUBCHANNELS = 65_535;

/** To make a typed array takes as long as the native side takes to read so many items of an array. */
const MAX_UNPACKED = 8;

/** SCTP payload protocol ids (RFC 8831, section 8): strings and binary, each also for empty messages. */
const PPID_STRING = 51;
const PPID_BINARY = 53;
const PPID_STRING_EMPTY = 56;
const PPID_BINARY_EMPTY = 57;

/**
 * Checks a message and its PPID.
 *
 * @param {unknown} message
 * @param {unknown} value - the PPID, if given.
 * @returns {number} the PPID: the given one, or the one that RFC 8831 gives such a message.
 */
function parsePpid(message, value) {
  const isString = typeof message === 'string';

  // isView() is needed too: it rejects objects that only inherit from Buffer, and Proxies; isBuffer() accepts them.
  if (!isString && !(ArrayBuffer.isView(message) && Buffer.isBuffer(message))) {
    throw validate.wrong('message', message, 'a string or a Buffer');
  }

  const empty = message.length === 0;

  if (!validate.given(value)) {
    if (isString) {
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
    throw validate.wrong('subchannels', value, `an array of at most ${MAX_SUBCHANNELS}`);
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
  parsePpid,
  parseSubchannel,
  parseOptionalSubchannel,
  parseSubchannels,
  packSubchannels,
};
