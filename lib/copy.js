'use strict';

/**
 * A deep copy of plain data, for getters: what the application does with it does not reach the original. (It is not
 * `structuredClone()`, whose objects belong to another realm inside of Jest and of vm contexts.)
 *
 * @template T
 * @param {T} data - as JSON has it.
 * @returns {T}
 */
function copy(data) {
  if (Array.isArray(data)) {
    return /** @type {T} */ (data.map(copy));
  }
  if (typeof data === 'object' && data !== null) {
    const entries = Object.entries(data).map(([key, value]) => [key, copy(value)]);

    return Object.fromEntries(entries);
  }
  return data;
}

exports.copy = copy;
