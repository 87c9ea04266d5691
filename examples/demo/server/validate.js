'use strict';

// Checks of values from a page. Each returns the value, or throws a RequestError that names it.

/** An error of the page, which gets the message. */
class RequestError extends Error {}

function object(value, name) {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new RequestError(`${name} must be an object`);
  }

  return value;
}

function integer(value, name) {
  if (!Number.isSafeInteger(value)) throw new RequestError(`${name} must be an integer`);

  return value;
}

/** A trimmed string of 1 to `max` characters, without control characters. */
function text(value, name, max) {
  const trimmed = typeof value === 'string' ? value.replace(/\p{Cc}/gu, '').trim() : '';
  if (trimmed.length === 0 || trimmed.length > max) {
    throw new RequestError(`${name} must be a string of 1 to ${max} characters`);
  }

  return trimmed;
}

function oneOf(value, name, allowed) {
  if (!allowed.includes(value))
    throw new RequestError(`${name} must be one of: ${allowed.join(', ')}`);

  return value;
}

module.exports = { RequestError, integer, object, oneOf, text };
