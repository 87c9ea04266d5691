'use strict';

/** What was asked for exists elsewhere but not here. */
class UnsupportedError extends Error {
  static {
    this.prototype.name = 'UnsupportedError';
  }
}

/** The Worker is closed. */
class WorkerClosedError extends Error {
  static {
    this.prototype.name = 'WorkerClosedError';
  }
}

/** The object does not exist, or no more. */
class NotFoundError extends Error {
  static {
    this.prototype.name = 'NotFoundError';
  }
}

/** @type {Record<string, new (message: string) => Error>} */
const classes = { Error, TypeError, UnsupportedError, WorkerClosedError, NotFoundError };

/**
 * The error that an answer of the worker describes. Errors are made here and not natively, so that `instanceof` holds
 * in whichever realm the package was loaded.
 *
 * @param {{ name: string, message: string }} description
 * @returns {Error}
 */
function errorFrom({ name, message }) {
  return new (classes[name] ?? Error)(message);
}

/**
 * @param {string} what - begins the sentence.
 * @returns {UnsupportedError}
 */
function mediaUnsupported(what) {
  return new UnsupportedError(`${what} is not supported: datasoup routes data, not media`);
}

exports.UnsupportedError = UnsupportedError;
exports.WorkerClosedError = WorkerClosedError;
exports.NotFoundError = NotFoundError;
exports.errorFrom = errorFrom;
exports.mediaUnsupported = mediaUnsupported;
