'use strict';

const debug = require('debug');

/** @type {import('..').LogEventListeners} */
let listeners = {};

/** The lines of `warnOnce()`. */
const warned = new Set();

/** Hands the log lines of one part of the package to `debug` and to the listeners of `setLogEventListeners()`. */
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

  /** Whether `debug` or a listener takes the lines of `debug()`: if neither does, callers need not make the lines. */
  get debugEnabled() {
    return this.#debug.enabled || listeners.ondebug !== undefined;
  }

  /** @param {string} line */
  debug(line) {
    this.#debug('%s', line);
    callListener(() => listeners.ondebug?.(this.#debug.namespace, line));
  }

  /** @param {string} line */
  warn(line) {
    this.#warn('%s', line);
    callListener(() => listeners.onwarn?.(this.#warn.namespace, line));
  }

  /**
   * Like `warn()`, but once per process: for lines about options, which an application repeats for each of its peers.
   *
   * @param {string} line
   */
  warnOnce(line) {
    if (!warned.has(line)) {
      warned.add(line);
      this.warn(line);
    }
  }

  /**
   * @param {string} line
   * @param {Error} [error] - what the line is about.
   */
  error(line, error) {
    this.#error(error ? '%s: %o' : '%s', line, ...(error ? [error] : []));
    callListener(() => listeners.onerror?.(this.#error.namespace, line, error));
  }
}

/**
 * A listener that throws is a bug of the application: it must not interrupt the package.
 *
 * @param {() => void} listener
 */
function callListener(listener) {
  try {
    listener();
  } catch (error) {
    debug('datasoup:ERROR:Logger')('a log listener threw: %o', error);
  }
}

/** @type {typeof import('..').setLogEventListeners} */
function setLogEventListeners(given) {
  const { ondebug, onwarn, onerror } = given ?? {};

  listeners = { ondebug, onwarn, onerror };
}

exports.Logger = Logger;
exports.setLogEventListeners = setLogEventListeners;
