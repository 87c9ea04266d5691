'use strict';

const validate = require('./validate');

/** @type {import('../..').LimitAction[]} */
const ACTIONS = ['drop', 'pause', 'close', 'block'];
/** In seconds. */
const BURST = 1;
/** In seconds. */
const MAX_BURST = 3600;

/**
 * @typedef {object} LimitOptions - Rust's `LimitOptions`.
 * @property {number} [messagesPerSecond]
 * @property {number} [bytesPerSecond]
 * @property {number} burst - in seconds.
 * @property {import('../..').LimitAction} action
 */

/**
 * @param {unknown} limit
 * @returns {LimitOptions | undefined} undefined if not given, which is no limit.
 */
function parseLimit(limit) {
  if (!validate.given(limit)) {
    return undefined;
  }

  const { messagesPerSecond, bytesPerSecond, burst, action } = validate.object(limit, 'limit');

  if (!validate.given(messagesPerSecond) && !validate.given(bytesPerSecond)) {
    throw validate.wrong('limit', limit, 'an object with messagesPerSecond or bytesPerSecond');
  }
  return {
    messagesPerSecond: parseRate(messagesPerSecond, 'limit.messagesPerSecond'),
    bytesPerSecond: parseRate(bytesPerSecond, 'limit.bytesPerSecond'),
    burst: parseBurst(burst ?? BURST),
    action: validate.oneOf(action ?? 'drop', 'limit.action', ACTIONS),
  };
}

/**
 * @param {unknown} rate
 * @param {string} name
 * @returns {number | undefined}
 */
function parseRate(rate, name) {
  return validate.optionalInteger(rate, name, undefined, 1);
}

/**
 * @param {unknown} burst
 * @returns {number}
 */
function parseBurst(burst) {
  if (typeof burst !== 'number' || !(burst > 0 && burst <= MAX_BURST)) {
    throw validate.wrong('limit.burst', burst, `a number above 0 and at most ${MAX_BURST}`);
  }
  return burst;
}

exports.parseLimit = parseLimit;
