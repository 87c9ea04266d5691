'use strict';

const debug = require('debug');

const { textOf, warn } = require('./warnings');

/** @type {import('..').LogEventListeners} */
let listeners = {};
/**
 * The listeners that have thrown.
 *
 * @type {Set<keyof import('..').LogEventListeners>}
 */
let faulty = new Set();

/** The lines of `warnOnce()`. */
const warned = new Set();

/**
 * Hands the log lines of one part of the package to `debug` and to the listeners of `setLogEventListeners()`. Neither
 * can interrupt the package: its methods never throw.
 */
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
    print(this.#debug, line);
    callListener('ondebug', this.#debug.namespace, line);
  }

  /** @param {string} line */
  warn(line) {
    print(this.#warn, line);
    callListener('onwarn', this.#warn.namespace, line);
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
    print(this.#error, line, error);
    callListener('onerror', this.#error.namespace, line, error);
  }
}

/**
 * @param {debug.Debugger} target
 * @param {string} line
 * @param {Error} [error]
 */
function print(target, line, error) {
  try {
    if (target.enabled) {
      target('%s', error ? `${line}: ${textOf(error)}` : line);
    }
  } catch {
    // The application has replaced parts of `debug`.
  }
}

/**
 * Calls a listener. One that throws is a bug of the application, and is shown once.
 *
 * @param {keyof import('..').LogEventListeners} name
 * @param {string} namespace
 * @param {string} line
 * @param {Error} [error]
 */
function callListener(name, namespace, line, error) {
  try {
    listeners[name]?.(namespace, line, error);
  } catch (thrown) {
    if (!faulty.has(name)) {
      faulty.add(name);
      warn(
        `the listener ${name} of setLogEventListeners() threw (shown once)`,
        'DATASOUP_LISTENER_THREW',
        textOf(thrown),
      );
    }
  }
}

/** @type {typeof import('..').setLogEventListeners} */
function setLogEventListeners(given) {
  const { ondebug, onwarn, onerror } = given ?? {};

  listeners = { ondebug, onwarn, onerror };
  faulty = new Set();
}

exports.Logger = Logger;
exports.setLogEventListeners = setLogEventListeners;
