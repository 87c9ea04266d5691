'use strict';

const debug = require('debug');

/** @type {import('..').LogEventListeners} */
let listeners = {};

/** Lines of one part of the package: to `debug`, and to the listeners of `setLogEventListeners()`. */
class Logger {
  /** @type {debug.Debugger} */
  #debug;
  /** @type {debug.Debugger} */
  #warn;
  /** @type {debug.Debugger} */
  #error;

  /** @param {string} [part] - the last part of the namespaces. */
  constructor(part) {
    const suffix = part === undefined ? '' : `:${part}`;

    this.#debug = debug(`datasoup${suffix}`);
    this.#warn = debug(`datasoup:WARN${suffix}`);
    this.#error = debug(`datasoup:ERROR${suffix}`);
  }

  /** Whether anybody gets the lines of `debug()`. */
  get debugs() {
    return this.#debug.enabled || listeners.ondebug !== undefined;
  }

  /** @param {string} line */
  debug(line) {
    this.#debug('%s', line);
    tell(() => listeners.ondebug?.(this.#debug.namespace, line));
  }

  /** @param {string} line */
  warn(line) {
    this.#warn('%s', line);
    tell(() => listeners.onwarn?.(this.#warn.namespace, line));
  }

  /**
   * @param {string} line
   * @param {Error} [error] - what the line speaks of.
   */
  error(line, error) {
    this.#error(error ? '%s: %o' : '%s', line, ...(error ? [error] : []));
    tell(() => listeners.onerror?.(this.#error.namespace, line, error));
  }
}

/**
 * A listener that throws is the application's mistake; it must not break what the package was about to do.
 *
 * @param {() => void} listener
 */
function tell(listener) {
  try {
    listener();
  } catch (error) {
    debug('datasoup:ERROR:Logger')('a log listener has thrown: %o', error);
  }
}

/** @type {typeof import('..').setLogEventListeners} */
function setLogEventListeners(given) {
  const { ondebug, onwarn, onerror } = given ?? {};

  listeners = { ondebug, onwarn, onerror };
}

exports.Logger = Logger;
exports.setLogEventListeners = setLogEventListeners;
