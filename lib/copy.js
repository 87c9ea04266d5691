'use strict';

/**
 * Makes a deep copy of plain data, for getters: the application may change the copy without changing the original.
 * (`structuredClone()` does not do: inside Jest and vm contexts, its objects belong to another realm.)
 *
 * @template T
 * @param {T} data - of the types that JSON has.
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
      const value = copy(/** @type {Record<string, unknown>} */ (data)[key]);

      if (key === '__proto__') {
        // An assignment to this key would set the prototype of the copy.
        Object.defineProperty(copied, key, {
          value,
          configurable: true,
          enumerable: true,
          writable: true,
        });
      } else {
        copied[key] = value;
      }
    }
    return /** @type {T} */ (copied);
  }
  return data;
}

exports.copy = copy;
