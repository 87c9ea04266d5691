'use strict';

const { EnhancedEventEmitter } = require('./EnhancedEventEmitter');
const symbols = require('./symbols');
const validate = require('./validate');

/** @import { AppData } from '..' */
/** @typedef {import('..').Events} Events */

/** @type {(entity: Entity<any, any, any>) => import('./Core').Core<any>} */
let coreOf;
/** @type {(entity: Entity<any, any, any>, event: string, ...args: any[]) => void} */
let tellObserver;

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
  /**
   * Made when somebody asks for it.
   *
   * @type {A | undefined}
   */
  #appData;
  /**
   * Made when somebody asks for it: most entities are never observed.
   *
   * @type {import('..').EnhancedEventEmitter<O> | undefined}
   */
  #observer;

  static {
    coreOf = (entity) => entity.#core;
    tellObserver = (entity, event, ...args) => entity.#observer?.safeEmit(event, ...args);
  }

  /**
   * @param {import('./Core').Core<any>} core
   * @param {A | undefined} appData
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
    this.#appData ??= /** @type {A} */ ({});
    return this.#appData;
  }

  set appData(appData) {
    this.#appData = validate.appData(appData);
  }

  get observer() {
    this.#observer ??= new EnhancedEventEmitter();
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
/** Emits on the observer of an entity. */
exports.tellObserver = tellObserver;
