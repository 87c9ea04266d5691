'use strict';

const { EnhancedEventEmitter } = require('./EnhancedEventEmitter');
const symbols = require('./symbols');
const validate = require('./options/validate');

/** @import { AppData } from '..' */
/** @typedef {import('..').Events} Events */

/** @type {(entity: Entity<any, any, any>) => import('./Core').Core<any>} */
let coreOf;
/** @type {(value: unknown, kind: import('./Core').Kind) => boolean} */
let isEntity;
/** @type {(entity: Entity<any, any, any>, event: string, ...args: any[]) => void} */
let emitOnObserver;

/**
 * The base of all objects of the package.
 *
 * @template {Events} E - its events.
 * @template {Events} O - the events of its observer.
 * @template {AppData} A
 * @extends {EnhancedEventEmitter<E>}
 */
class Entity extends EnhancedEventEmitter {
  #core;
  /**
   * Made at the first access, if the application has given none.
   *
   * @type {A | undefined}
   */
  #appData;
  /**
   * Made at the first access: most entities are never observed.
   *
   * @type {import('..').EnhancedEventEmitter<O> | undefined}
   */
  #observer;

  static {
    coreOf = (entity) => entity.#core;
    isEntity = (value, kind) =>
      typeof value === 'object' && value !== null && #core in value && value.#core.kind === kind;
    emitOnObserver = (entity, event, ...args) => entity.#observer?.safeEmit(event, ...args);
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
/** Whether the value is an entity of this kind. Instances of subclasses are; Proxies of entities are not. */
exports.isEntity = isEntity;
/** Emits on the observer of an entity. */
exports.emitOnObserver = emitOnObserver;
