'use strict';

// Not the global one, which is a getter: a check of every message would pay for it.
const { Buffer } = require('node:buffer');
const { isIP } = require('node:net');
const { inspect, toUSVString } = require('node:util');

// The checks of arguments. They take a value and its name, and return the value to go on with, or throw a TypeError
// that names the argument, what it was and what it should be. `null` counts as not given.

const MAX_UINT32 = 0xffffffff;
const MAX_UINT16 = 0xffff;
const MAX_STREAM_ID = 65534;
const MAX_SUBCHANNELS = 65535;
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;

/** SCTP payload protocol ids (RFC 8831, section 8): strings, Buffers, and empty ones. */
const PPID_STRING = 51;
const PPID_BINARY = 53;
const PPID_STRING_EMPTY = 56;
const PPID_BINARY_EMPTY = 57;

/**
 * @param {unknown} value
 * @returns {value is {}}
 */
function given(value) {
  return value !== undefined && value !== null;
}

/**
 * @param {string} name
 * @param {unknown} value
 * @param {string} expected
 * @returns {TypeError}
 */
function wrong(name, value, expected) {
  const options = { depth: 0, maxArrayLength: 3, maxStringLength: 60, breakLength: Infinity };

  return new TypeError(`${name} must be ${expected} (got ${inspect(value, options)})`);
}

/**
 * Options or a part of them.
 *
 * @param {unknown} value
 * @param {string} name
 * @returns {Record<string, any>} empty if not given.
 */
function object(value, name) {
  if (!given(value)) {
    return {};
  }
  if (typeof value !== 'object') {
    throw wrong(name, value, 'an object');
  }
  return value;
}

/**
 * @param {any} value
 * @returns {any} undefined if not given: see `entity.appData`.
 */
function appData(value) {
  return given(value) ? object(value, 'appData') : undefined;
}

/**
 * @param {unknown} value
 * @param {string} name
 * @returns {any[]}
 */
function array(value, name) {
  if (!Array.isArray(value)) {
    throw wrong(name, value, 'an array');
  }
  return value;
}

/**
 * @template {string | undefined} T
 * @param {unknown} value
 * @param {string} name
 * @param {T} fallback
 * @returns {string | T}
 */
function string(value, name, fallback) {
  if (!given(value)) {
    return fallback;
  }
  if (typeof value !== 'string') {
    throw wrong(name, value, 'a string');
  }
  return value;
}

/**
 * A text that goes over the wire: with U+FFFD for each lone surrogate, which UTF-8 cannot have.
 *
 * @param {unknown} value
 * @param {string} name
 * @returns {string} empty if not given.
 */
function text(value, name) {
  return toUSVString(string(value, name, ''));
}

/**
 * @template {string} T
 * @param {unknown} value
 * @param {string} name
 * @param {readonly T[]} choices
 * @returns {T | undefined}
 */
function oneOf(value, name, choices) {
  if (!given(value)) {
    return undefined;
  }
  if (!choices.includes(/** @type {T} */ (value))) {
    throw wrong(name, value, `one of ${choices.map((choice) => `'${choice}'`).join(', ')}`);
  }
  return /** @type {T} */ (value);
}

/**
 * As JavaScript takes it: what is truthy is true.
 *
 * @template {boolean | undefined} T
 * @param {unknown} value
 * @param {T} fallback
 * @returns {boolean | T}
 */
function boolean(value, fallback) {
  return given(value) ? Boolean(value) : fallback;
}

/**
 * An integer from `min` to `max`. It is required.
 *
 * @param {unknown} value
 * @param {string} name
 * @param {number} [max]
 * @param {number} [min]
 * @returns {number}
 */
function integer(value, name, max = MAX_UINT32, min = 0) {
  if (!Number.isInteger(value) || Number(value) < min || Number(value) > max) {
    throw wrong(name, value, `an integer from ${min} to ${max}`);
  }
  return Number(value);
}

/**
 * An integer from `min` to `max`, or `undefined`.
 *
 * @param {unknown} value
 * @param {string} name
 * @param {number} [max]
 * @param {number} [min]
 * @returns {number | undefined}
 */
function optionalInteger(value, name, max, min) {
  return given(value) ? integer(value, name, max, min) : undefined;
}

/**
 * @param {unknown} value
 * @param {string} name
 * @returns {string}
 */
function ip(value, name) {
  // A zone ('fe80::1%eth0') is no part of an address, and the worker takes none.
  if (typeof value !== 'string' || isIP(value) === 0 || value.includes('%')) {
    throw wrong(name, value, 'an IPv4 or IPv6 address');
  }
  return value;
}

/**
 * @param {unknown} value
 * @returns {value is string}
 */
function isUuid(value) {
  return typeof value === 'string' && UUID.test(value);
}

/**
 * @param {unknown} value
 * @param {string} name
 * @returns {string | undefined}
 */
function optionalUuid(value, name) {
  if (!given(value)) {
    return undefined;
  }
  if (!isUuid(value)) {
    throw wrong(name, value, 'a UUID');
  }
  return value;
}

/**
 * @param {unknown} value
 * @param {string} name
 * @returns {number}
 */
function subchannel(value, name) {
  return integer(value, name, MAX_UINT16);
}

/**
 * @param {unknown} value
 * @param {string} name
 * @returns {number | undefined}
 */
function optionalSubchannel(value, name) {
  return given(value) ? subchannel(value, name) : undefined;
}

/**
 * @param {unknown} value
 * @returns {number[]}
 */
function subchannels(value) {
  const list = array(value, 'subchannels');

  if (list.length > MAX_SUBCHANNELS) {
    throw wrong('subchannels', value, `an array of at most ${MAX_SUBCHANNELS}`);
  }
  // Not `map()`, which leaves holes as they are.
  return Array.from(list, (value, index) => subchannel(value, `subchannels[${index}]`));
}

/**
 * Checks a message and its PPID.
 *
 * @param {unknown} message
 * @param {unknown} value - the PPID, if given.
 * @returns {number} the PPID: the given one, or what goes with the message.
 */
function ppid(message, value) {
  const isString = typeof message === 'string';

  // The first of both sees through what only claims to be a Buffer.
  if (!isString && !(ArrayBuffer.isView(message) && Buffer.isBuffer(message))) {
    throw new TypeError('message must be a string or a Buffer');
  }

  const empty = message.length === 0;

  if (!given(value)) {
    if (isString) {
      return empty ? PPID_STRING_EMPTY : PPID_STRING;
    }
    return empty ? PPID_BINARY_EMPTY : PPID_BINARY;
  }

  const ppid = integer(value, 'ppid');

  if (empty && ppid !== PPID_STRING_EMPTY && ppid !== PPID_BINARY_EMPTY) {
    throw wrong('ppid', ppid, `${PPID_STRING_EMPTY} or ${PPID_BINARY_EMPTY} for an empty message`);
  }
  return ppid;
}

module.exports = {
  MAX_UINT16,
  MAX_STREAM_ID,
  given,
  wrong,
  object,
  appData,
  array,
  string,
  text,
  oneOf,
  boolean,
  integer,
  optionalInteger,
  ip,
  isUuid,
  optionalUuid,
  subchannel,
  optionalSubchannel,
  subchannels,
  ppid,
};
