'use strict';

const { EventEmitter, once } = require('node:events');

const { Logger } = require('./Logger');

const logger = new Logger('EnhancedEventEmitter');

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
    try {
      return this.emit(eventName, ...args);
    } catch (error) {
      logger.error(`a listener of '${eventName}' threw`, asError(error));
      this.#emitListenerError(eventName, error);
      return false;
    }
  }

  /**
   * @param {string} eventName
   * @param {unknown} error
   */
  #emitListenerError(eventName, error) {
    try {
      this.emit('listenererror', eventName, error);
    } catch (second) {
      logger.error("a listener of 'listenererror' threw", asError(second));
    }
  }
}

/** @type {typeof import('..').extras.enhancedOnce} */
const enhancedOnce = (emitter, eventName, options) =>
  /** @type {Promise<any>} */ (once(emitter, eventName, options));

/** @param {unknown} thrown */
function asError(thrown) {
  return thrown instanceof Error ? thrown : new Error(String(thrown));
}

exports.EnhancedEventEmitter = /** @type {typeof import('..').extras.EnhancedEventEmitter} */ (
  /** @type {unknown} */ (EnhancedEventEmitter)
);
exports.enhancedOnce = enhancedOnce;
