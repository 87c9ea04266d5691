'use strict';

const { parseLimit } = require('./options/limit');

/**
 * Does the work of `setLimit()` of everything that has a limit.
 *
 * @param {import('./Core').Core<any>} core
 * @param {string} method
 * @param {import('..').LimitOptions | null} [limit]
 */
async function setLimit(core, method, limit) {
  const parsed = parseLimit(limit);

  await core.request(method, (native, id) => native.setLimit(id, JSON.stringify(parsed ?? null)));
}

exports.setLimit = setLimit;
