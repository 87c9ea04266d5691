'use strict';

const { inspect, types } = require('node:util');

const { EnhancedEventEmitter, emitSafely } = require('./EnhancedEventEmitter');
const symbols = require('./symbols');
const validate = require('./options/validate');
const { warn } = require('./warnings');

/** @import { AppData } from '..' */
/** @typedef {import('..').Events} Events */

/** What `console.log()` and `JSON.stringify()` show of an entity, as far as its kind has it. */
const SHOWN = [
  'id',
  'pid',
  'type',
  'label',
  'dataProducerId',
  'closed',
  'died',
  'subprocessClosed',
  'iceState',
  'dtlsState',
  'sctpState',
  'paused',
  'dataProducerPaused',
];

/** The names of the classes for which the application was warned that a 'message' listener is never called. */
const warned = new Set();

/**
 * Receives the entity that is being inspected.
 *
 * @type {((entity: Entity<any, any, any>) => void) | undefined}
 */
let onInspect;

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
    emitOnObserver = (entity, event, ...args) =>
      entity.#observer && emitSafely(entity.#observer, event, args, entity);
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

  // All ways to add a listener end in one of these three methods.

  /**
   * @override
   * @param {any} eventName
   * @param {any} listener
   */
  on(eventName, listener) {
    Entity.#checkListener(this, eventName);
    return super.on(eventName, listener);
  }

  /**
   * @override
   * @param {any} eventName
   * @param {any} listener
   */
  addListener(eventName, listener) {
    Entity.#checkListener(this, eventName);
    return super.addListener(eventName, listener);
  }

  /**
   * @override
   * @param {any} eventName
   * @param {any} listener
   */
  prependListener(eventName, listener) {
    Entity.#checkListener(this, eventName);
    return super.prependListener(eventName, listener);
  }

  toJSON() {
    const entity = Entity.#target(this);

    return entity ? entity.#shown() : {};
  }

  /**
   * @param {number | null} depth
   * @param {import('node:util').InspectOptionsStylized} options
   * @returns {string}
   */
  [inspect.custom](depth, options) {
    const entity = Entity.#target(this);

    if (!entity) {
      return inspect(this, { ...options, customInspect: false });
    }
    onInspect?.(entity);

    const { name } = entity.#core;

    return depth !== null && depth < 0
      ? options.stylize(`[${name}]`, 'special')
      : `${name} ${inspect(entity.#shown(), { ...options, depth })}`;
  }

  /**
   * Rejects a 'message' listener beside iterators and streams, which take the messages.
   *
   * Warns about listeners that are never called, a common mistake: DataProducers, and DataConsumers of type 'sctp',
   * emit no 'message'.
   *
   * @param {object} emitter
   * @param {unknown} eventName
   * @throws {TypeError}
   */
  static #checkListener(emitter, eventName) {
    const entity = eventName === 'message' ? Entity.#target(emitter) : undefined;

    if (!entity) {
      return;
    }

    const { kind, name, pulled } = entity.#core;

    if (pulled) {
      throw new TypeError(
        "a DataConsumer with an iterator or stream takes no 'message' listener: end the iterator or stream first",
      );
    }

    const sctpConsumer = kind === 'dataConsumer' && /** @type {any} */ (entity).type === 'sctp';

    if ((kind === 'dataProducer' || sctpConsumer) && !warned.has(name)) {
      warned.add(name);
      warn(
        `'message' listener on a ${name}${sctpConsumer ? " of type 'sctp'" : ''}, ` +
          "which emits no 'message': listen on the DataConsumer that " +
          'directTransport.consumeData({ dataProducerId }) makes',
      );
    }
  }

  /** @returns {Record<string, unknown>} */
  #shown() {
    const entity = /** @type {any} */ (this);
    const shown = SHOWN.map((name) => [name, entity[name]]);

    return Object.fromEntries(shown.filter(([, value]) => value !== undefined));
  }

  /**
   * Returns the entity behind a value, which may be a Proxy of it: private members cannot be read through a Proxy.
   *
   * @param {object} value
   * @returns {Entity<any, any, any> | undefined} undefined for what only inherits from an entity.
   */
  static #target(value) {
    if (#core in value) {
      return value;
    }
    if (!types.isProxy(value)) {
      return undefined;
    }

    /** @type {Entity<any, any, any> | undefined} */
    let target;

    // The target may itself look behind another Proxy, in a method that the application has replaced.
    const outer = onInspect;

    // Only inspect() looks behind a Proxy. It calls the method of the target first, also behind two or three Proxies.
    onInspect = (entity) => {
      target ??= entity;
    };
    try {
      inspect(value, { showProxy: true, depth: 2 });
    } finally {
      onInspect = outer;
    }
    return target;
  }
}

exports.Entity = Entity;
/** The inner side of an entity, for the other classes of the package. */
exports.coreOf = coreOf;
/** Whether the value is an entity of this kind. Instances of subclasses are; Proxies of entities are not. */
exports.isEntity = isEntity;
/** Emits on the observer of an entity. */
exports.emitOnObserver = emitOnObserver;
