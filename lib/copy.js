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
    /** @type {Record<string, unknown>} */
    const copied = {};

    for (const key of Object.keys(data)) {
      copied[key] = copy(/** @type {Record<string, unknown>} */ (data)[key]);
    }
    return /** @type {T} */ (copied);
  }
  return data;
}

exports.copy = copy;
