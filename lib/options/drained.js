'use strict';

const validate = require('./validate');

/** The longest delay of a timer, in milliseconds. */
const MAX_TIMEOUT = 2 ** 31 - 1;

/**
 * @param {unknown} options
 * @returns {{ signal?: AbortSignal, timeout?: number }} `timeout` in milliseconds.
 */
function parseDrainedOptions(options) {
  const { signal, timeout } = validate.object(options, 'options');

  return {
    signal: validate.given(signal) ? abortSignal(signal) : undefined,
    timeout: validate.optionalInteger(timeout, 'timeout', MAX_TIMEOUT),
  };
}

/**
 * Takes signals of other realms, too, as Node.js does.
 *
 * @param {any} value
 * @returns {AbortSignal}
 */
function abortSignal(value) {
  if (typeof value?.aborted !== 'boolean' || typeof value.addEventListener !== 'function') {
    throw validate.wrong('signal', value, 'an AbortSignal');
  }
  return value;
}

exports.parseDrainedOptions = parseDrainedOptions;
