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
    signal: validate.optionalSignal(signal, 'signal'),
    timeout: validate.optionalInteger(timeout, 'timeout', MAX_TIMEOUT),
  };
}

exports.parseDrainedOptions = parseDrainedOptions;
