'use strict';

const { EventEmitter } = require('node:events');
const { types } = require('node:util');

const { Logger } = require('./Logger');
const { textOf, warn } = require('./warnings');

/** @typedef {Pick<EventEmitter, 'emit'>} Emitter */

/** For how many of its events an emitter warns: `safeEmit()` is public and takes any name. */
const MAX_WARNINGS = 32;

const logger = new Logger('EnhancedEventEmitter');

/**
 * The events of each emitter that a warning was printed for.
 *
 * @type {WeakMap<Emitter, Set<string>>}
 */
const warned = new WeakMap();

/**
 * The base of all objects of the package and of their observers. The contract in index.d.ts adds the types of events.
 */
class EnhancedEventEmitter extends EventEmitter {
  constructor() {
    super();
    this.setMaxListeners(Infinity);
  }

  /**
   * Like `emit()`, but never throws: see index.d.ts.
   *
   * @param {string} eventName
   * @param {...unknown} args
   * @returns {boolean} whether there were listeners and none of them threw.
   */
  safeEmit(eventName, ...args) {
    return emitSafely(this, eventName, args);
  }
}

/**
 * Does the work of `safeEmit()`. The package calls this function instead, so that an application that replaces or
 * deletes a method cannot interrupt it.
 *
 * @param {Emitter} emitter
 * @param {string} eventName
 * @param {unknown[]} args
 * @param {object | string} [observed] - what `emitter` is the observer of.
 * @returns {boolean}
 */
function emitSafely(emitter, eventName, args, observed) {
  try {
    return emitter.emit(eventName, ...args);
  } catch (thrown) {
    onListenerError(emitter, eventName, thrown, observed);
    return false;
  }
}

/**
 * Reports what a listener threw: with 'listenererror' or, if that has no listener, with a warning. Never throws.
 *
 * @param {Emitter} emitter
 * @param {string} eventName
 * @param {unknown} thrown - any value.
 * @param {object | string} [observed]
 */
function onListenerError(emitter, eventName, thrown, observed) {
  try {
    logger.error(`a listener of '${eventName}' threw`, asError(thrown));
    if (!emitter.emit('listenererror', eventName, thrown)) {
      warnOnce(emitter, eventName, thrown, observed);
    }
  } catch (second) {
    onReportError(emitter, second, observed);
  }
}

/**
 * @param {Emitter} emitter
 * @param {unknown} thrown - by a listener of 'listenererror'.
 * @param {object | string} [observed]
 */
function onReportError(emitter, thrown, observed) {
  try {
    logger.error("a listener of 'listenererror' threw", asError(thrown));
    warnOnce(emitter, 'listenererror', thrown, observed);
  } catch {
    // The stack is exhausted.
  }
}

/**
 * Warns about a listener that threw, once per emitter and event.
 *
 * @param {Emitter} emitter
 * @param {string} eventName
 * @param {unknown} thrown
 * @param {object | string} [observed]
 */
function warnOnce(emitter, eventName, thrown, observed) {
  const names = warned.get(emitter) ?? new Set();

  if (!names.has(eventName) && names.size < MAX_WARNINGS) {
    warned.set(emitter, names.add(eventName));
    warn(
      `a listener of '${eventName}' on ${titleOf(emitter, observed)} threw ` +
        "(shown once; 'listenererror' reports everything that listeners throw)",
      'DATASOUP_LISTENER_THREW',
      textOf(thrown),
    );
  }
}

/**
 * @param {object} emitter
 * @param {object | string} [observed]
 * @returns {string} e.g. 'DataConsumer 6c1f…' or 'the observer of Worker 1234'.
 */
function titleOf(emitter, observed) {
  if (observed !== undefined) {
    return `the observer of ${typeof observed === 'string' ? observed : titleOf(observed)}`;
  }
  try {
    const { constructor, id, pid } = /** @type {any} */ (emitter);

    return [constructor.name, id ?? pid].filter((part) => part !== undefined).join(' ');
  } catch {
    return 'an object';
  }
}

/**
 * @param {unknown} thrown
 * @returns {Error}
 */
function asError(thrown) {
  // Not `instanceof`, which runs the traps of a Proxy and fails for errors of other realms.
  return types.isNativeError(thrown) ? thrown : new Error(textOf(thrown), { cause: thrown });
}

exports.EnhancedEventEmitter = /** @type {typeof import('..').extras.EnhancedEventEmitter} */ (
  /** @type {unknown} */ (EnhancedEventEmitter)
);
exports.emitSafely = emitSafely;
exports.onListenerError = onListenerError;
