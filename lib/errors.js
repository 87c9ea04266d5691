'use strict';

/** The package does not implement the feature. */
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

/** The object of a request does not exist, or is closed. */
class NotFoundError extends Error {
  static {
    this.prototype.name = 'NotFoundError';
  }
}

/** @type {Record<string, new (message: string) => Error>} */
const classes = { Error, TypeError, UnsupportedError, WorkerClosedError, NotFoundError };

/**
 * The error that an answer of the worker describes. Errors are made in JavaScript, so that `instanceof` holds in the
 * realm that loaded the package.
 *
 * @param {{ name: string, message: string }} description
 * @returns {Error}
 */
function errorFrom({ name, message }) {
  return new (classes[name] ?? Error)(message);
}

/**
 * @param {string} what - the method or option, which begins the sentence.
 * @returns {UnsupportedError}
 */
function mediaUnsupported(what) {
  return new UnsupportedError(`${what} is not supported: datasoup routes data, not media`);
}

/**
 * Also has mediasoup's text, because applications may look for it.
 *
 * @param {string} why
 */
function wrongWebRtcServer(why) {
  return new Error(
    `the WebRtcServer ${why} (wrong webRtcServerId (no associated WebRtcServer found))`,
  );
}

exports.UnsupportedError = UnsupportedError;
exports.WorkerClosedError = WorkerClosedError;
exports.NotFoundError = NotFoundError;
exports.errorFrom = errorFrom;
exports.mediaUnsupported = mediaUnsupported;
exports.wrongWebRtcServer = wrongWebRtcServer;
