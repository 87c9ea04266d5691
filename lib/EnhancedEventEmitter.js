'use strict';

const { EventEmitter, once } = require('node:events');

const { Logger } = require('./Logger');

const logger = new Logger('EnhancedEventEmitter');

/** What every object of the package is, and every observer. The contract in index.d.ts adds the types of the events. */
class EnhancedEventEmitter extends EventEmitter {
  constructor() {
    super();
    this.setMaxListeners(Infinity);
  }

  /**
   * Emits, and survives a listener that throws.
   *
   * @param {string} eventName
   * @param {...unknown} args
   * @returns {boolean} whether there were listeners and none of them threw.
   */
  safeEmit(eventName, ...args) {
    try {
      return this.emit(eventName, ...args);
    } catch (error) {
      logger.error(`a listener of '${eventName}' has thrown`, asError(error));
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
      logger.error("a listener of 'listenererror' has thrown", asError(second));
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
