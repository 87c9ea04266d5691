'use strict';

const { EnhancedEventEmitter } = require('./EnhancedEventEmitter');
const symbols = require('./symbols');
const validate = require('./validate');

/** @import { AppData } from '..' */
/** @typedef {import('..').Events} Events */

/** @type {(entity: Entity<any, any, any>) => import('./Core').Core<any>} */
let coreOf;

/**
 * What all objects of the package have in common.
 *
 * @template {Events} E - its events.
 * @template {Events} O - those of its observer.
 * @template {AppData} A
 * @extends {EnhancedEventEmitter<E>}
 */
class Entity extends EnhancedEventEmitter {
  #core;
  /** @type {A} */
  #appData;
  /** @type {import('..').EnhancedEventEmitter<O>} */
  #observer = new EnhancedEventEmitter();

  static {
    coreOf = (entity) => entity.#core;
  }

  /**
   * @param {import('./Core').Core<any>} core
   * @param {A} appData
   * @param {import('./Channel').Target} target
   */
  constructor(core, appData, target) {
    super();
    this.#core = core;
    this.#appData = appData;
    core.bind(this, target);
  }

  get closed() {
    return this.#core.closed;
  }

  get appData() {
    return this.#appData;
  }

  set appData(appData) {
    this.#appData = validate.appData(appData);
  }

  get observer() {
    return this.#observer;
  }

  close() {
    this.#core.close();
  }

  [symbols.dispose]() {
    this.close();
  }
}

exports.Entity = Entity;
/** The inner side of an entity, for the other classes of the package. */
exports.coreOf = coreOf;
