'use strict';

const { isIP } = require('node:net');
const { inspect, toUSVString, types } = require('node:util');

// Checks of single values. Each takes a value and its name, and returns the checked value or throws a TypeError that
// names the option, the expected and the given value. `null` counts as not given.

const MAX_UINT32 = 0xffffffff;
const MAX_UINT16 = 0xffff;
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;

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
  return new TypeError(`${name} must be ${expected} ${got(value)}`);
}

/**
 * Like `wrong()`, for objects of the package: a Proxy, or an object of another copy of the package, looks like the
 * right one.
 *
 * @param {string} name
 * @param {unknown} value
 * @param {string} expected
 * @returns {TypeError}
 */
function wrongEntity(name, value, expected) {
  if (typeof value !== 'object') {
    return wrong(name, value, expected);
  }
  return wrong(
    name,
    value,
    `${expected}${types.isProxy(value) ? ', not a Proxy' : ' of this copy of datasoup'}`,
  );
}

/**
 * @param {string} name
 * @param {unknown} value
 * @returns {TypeError}
 */
function missing(name, value) {
  return new TypeError(`missing ${name} ${got(value)}`);
}

/**
 * The end of a text about an invalid argument.
 *
 * @param {unknown[]} values
 * @returns {string}
 */
function got(...values) {
  return `(got ${values.map(shown).join(' and ')})`;
}

/** How much of a value an error shows: streams and sockets have many members. */
const MAX_SHOWN = 200;

/** @param {unknown} value */
function shown(value) {
  try {
    const text = inspect(value, {
      depth: 0,
      maxArrayLength: 3,
      maxStringLength: 60,
      breakLength: Infinity,
    });

    return text.length > MAX_SHOWN ? `${text.slice(0, MAX_SHOWN)}…` : text;
  } catch {
    // A method of the value that inspect() calls has thrown.
    return typeof value;
  }
}

/**
 * @param {unknown} value - an options object.
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
 * @returns {any} undefined if not given: `entity.appData` then makes an empty object when it is read.
 */
function appData(value) {
  return given(value) ? object(value, 'appData') : undefined;
}

/**
 * Checks what the options of all methods that create an object have in common.
 *
 * @param {unknown} value
 * @returns {{ given: Record<string, any>, appData: any }} the options as given, and their `appData`.
 */
function options(value) {
  const checked = object(value, 'options');

  return { given: checked, appData: appData(checked.appData) };
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
 * @param {unknown} value
 * @param {string} name
 * @returns {string[]}
 */
function strings(value, name) {
  // `map()` would skip holes, so that they were not checked.
  return Array.from(array(value, name), (each, index) => {
    if (typeof each !== 'string') {
      throw wrong(`${name}[${index}]`, each, 'a string');
    }
    return each;
  });
}

/**
 * Checks a string that goes over the network in UTF-8. UTF-8 has no lone surrogates: each becomes U+FFFD.
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
 * @returns {T}
 */
function oneOf(value, name, choices) {
  if (!choices.includes(/** @type {T} */ (value))) {
    throw wrong(name, value, `one of ${choices.map((choice) => `'${choice}'`).join(', ')}`);
  }
  return /** @type {T} */ (value);
}

/**
 * @template {boolean | undefined} T
 * @param {unknown} value
 * @param {string} name
 * @param {T} fallback
 * @returns {boolean | T}
 */
function boolean(value, name, fallback) {
  if (!given(value)) {
    return fallback;
  }
  if (typeof value !== 'boolean') {
    throw wrong(name, value, 'a boolean');
  }
  return value;
}

/**
 * A required integer from `min` to `max`.
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
 * An optional integer from `min` to `max`.
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
 * A required port from `min` to 65535. A string of digits counts as a number, because environment variables are
 * strings.
 *
 * @param {unknown} value
 * @param {string} name
 * @param {number} [min]
 * @returns {number}
 */
function port(value, name, min) {
  return integer(isDigits(value) ? Number(value) : value, name, MAX_UINT16, min);
}

/**
 * An optional port from 0 to 65535.
 *
 * @param {unknown} value
 * @param {string} name
 * @returns {number | undefined}
 */
function optionalPort(value, name) {
  return given(value) ? port(value, name) : undefined;
}

/** @param {unknown} value */
function isDigits(value) {
  return typeof value === 'string' && /^\d+$/.test(value);
}

/**
 * @param {unknown} value
 * @param {string} name
 * @returns {string}
 */
function ip(value, name) {
  // isIP() accepts an address with a zone ('fe80::1%eth0'), which the worker rejects.
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
 * @param {any} value
 * @param {string} name
 * @returns {AbortSignal | undefined}
 */
function optionalSignal(value, name) {
  if (value === undefined || value === null) {
    return undefined;
  }
  // Not `instanceof`: a test environment has an AbortSignal of its own.
  if (typeof value.aborted !== 'boolean' || typeof value.addEventListener !== 'function') {
    throw wrong(name, value, 'an AbortSignal');
  }
  return value;
}

/**
 * @param {any} value
 * @param {string} name
 * @returns {import('node:stream').Writable} a Writable that takes bytes and has not ended.
 */
function writable(value, name) {
  // Not `instanceof`: streams of other packages have classes of their own.
  const isStream = ['write', 'end', 'once', 'off'].every(
    (each) => typeof value?.[each] === 'function',
  );

  if (!isStream || typeof value.writableLength !== 'number') {
    throw wrong(name, value, 'a Writable of node:stream');
  }
  if (value.writableObjectMode) {
    throw wrong(name, value, 'a Writable of bytes, not of objects');
  }
  if (value.destroyed || value.writableEnded) {
    throw wrong(name, value, 'a Writable that has not ended');
  }
  return value;
}

module.exports = {
  MAX_UINT16,
  given,
  wrong,
  wrongEntity,
  missing,
  got,
  object,
  appData,
  options,
  array,
  string,
  strings,
  text,
  oneOf,
  boolean,
  integer,
  optionalInteger,
  port,
  optionalPort,
  ip,
  isUuid,
  optionalUuid,
  optionalSignal,
  writable,
};
