'use strict';

const { resultOf } = require('./Channel');
const { emitSafely } = require('./EnhancedEventEmitter');
const { emitOnObserver } = require('./Entity');
const { Logger } = require('./Logger');
const { NotFoundError } = require('./errors');

/** @typedef {keyof typeof TREE} Kind */

/**
 * For each kind of object: the kinds below it, in the order in which they close, and the event that the objects below
 * emit when the object closes.
 *
 * @satisfies {Record<string, { below: string[], event: string }>}
 */
const TREE = {
  worker: { below: ['router', 'webRtcServer'], event: 'workerclose' },
  webRtcServer: { below: [], event: 'listenserverclose' },
  router: { below: ['transport'], event: 'routerclose' },
  transport: { below: ['dataProducer', 'dataConsumer'], event: 'transportclose' },
  dataProducer: { below: [], event: 'dataproducerclose' },
  dataConsumer: { below: [], event: '' },
};

/** The names of the classes. They are written out, because minifiers change `constructor.name`. */
const NAMES = {
  worker: 'Worker',
  webRtcServer: 'WebRtcServer',
  router: 'Router',
  transport: 'Transport',
  dataProducer: 'DataProducer',
  dataConsumer: 'DataConsumer',
};

/** @type {Record<string, string>} */
const TRANSPORT_NAMES = {
  webrtc: 'WebRtcTransport',
  plain: 'PlainTransport',
  pipe: 'PipeTransport',
  direct: 'DirectTransport',
};

const LOGGERS = /** @type {Record<Kind, Logger>} */ (
  Object.fromEntries(Object.entries(NAMES).map(([kind, name]) => [kind, new Logger(name)]))
);

/**
 * Hooks are added by copying the array: most entities have at most one hook, and an array that has grown keeps room for
 * 17.
 *
 * @type {readonly never[]}
 */
const NO_HOOKS = [];

/**
 * The inner side of an entity, hidden from the application: its place in the tree, its native object, and its end.
 * The close cascade is here and nowhere else:
 *
 *     close() of an object closes the native object, then, synchronously,
 *       each object below it, in the order of TREE: its own cascade · its event ('transportclose' …) · the same as
 *       the object itself:                          'close' · observer 'close'
 *
 * @template N - the type of the native object.
 */
class Core {
  /** @type {Core<any> | undefined} */
  #above;
  /**
   * The first and the last of the cores below, of all kinds, in the order of creation. These cores form a doubly linked
   * list, so that closing one of them costs the same however many there are.
   *
   * @type {Core<any> | undefined}
   */
  #first;
  /** @type {Core<any> | undefined} */
  #last;
  /** @type {Core<any> | undefined} */
  #previous;
  /** @type {Core<any> | undefined} */
  #next;
  /** @type {readonly ((event: string | undefined) => void)[]} */
  #closing = NO_HOOKS;
  /** @type {readonly (() => void)[]} */
  #closed = NO_HOOKS;

  /**
   * @param {object} options
   * @param {import('./Channel').Channel} options.channel
   * @param {Kind} options.kind
   * @param {number} options.handle
   * @param {N} options.native
   * @param {string} [options.id] - the id of the entity; empty for an entity without an id.
   * @param {Core<any>} [options.above]
   */
  constructor({ channel, kind, handle, native, id = '', above }) {
    this.channel = channel;
    this.kind = kind;
    this.handle = handle;
    this.native = native;
    this.id = id;
    this.closed = false;
    /** Of a DataConsumer: whether iterators or streams take the messages, so that listeners cannot. */
    this.pulled = false;
    /** @type {import('./Entity').Entity<any, any, any> | undefined} */
    this.entity = undefined;
    this.#above = above;
  }

  /** The core of the entity above, such as the transport of a DataProducer. */
  get above() {
    return this.#above;
  }

  /**
   * Gives the core its entity: from now on the entity receives the worker's events, and closes with the core above.
   *
   * @param {import('./Entity').Entity<any, any, any>} entity
   * @param {import('./Channel').Target} target
   */
  bind(entity, target) {
    this.entity = entity;
    this.channel.subscribe(this.handle, target);
    if (this.#above) {
      this.#link(this.#above);
    }
  }

  /**
   * Methods check their arguments first, as in mediasoup.
   *
   * @param {string} method
   * @throws {import('./errors').WorkerClosedError}
   * @throws {NotFoundError}
   */
  check(method) {
    this.channel.check(method);
    if (this.closed) {
      throw new NotFoundError(
        `the ${this.name} is closed ` +
          `(Channel request handler with ID ${this.id} not found [method:${method}])`,
      );
    }
  }

  /** The name of the entity's class. */
  get name() {
    const { type } = /** @type {any} */ (this.entity ?? {});

    return (this.kind === 'transport' && TRANSPORT_NAMES[type]) || NAMES[this.kind];
  }

  /**
   * Writes a line about this object into the log.
   *
   * @param {string} line
   */
  debug(line) {
    if (this.debugEnabled) {
      LOGGERS[this.kind].debug(this.id ? `${line} [id:${this.id}]` : line);
    }
  }

  /** Whether the lines of `debug()` go anywhere. */
  get debugEnabled() {
    return LOGGERS[this.kind].debugEnabled;
  }

  /**
   * Reports an event of the worker that the entity does not know.
   *
   * @param {string} name
   */
  onUnknownEvent(name) {
    LOGGERS[this.kind].error(`unknown event '${name}' from the worker [id:${this.id}]`);
  }

  /**
   * Makes a request, synchronously, and logs it.
   *
   * @param {string} method
   * @param {(native: N, requestId: number) => void} call
   * @returns {Promise<any>} the answer.
   */
  request(method, call) {
    this.debug(`${method}()`);
    return this.ask(method, call);
  }

  /**
   * Like `request()`, but without a line in the log, for frequent calls.
   *
   * @param {string} method
   * @param {(native: N, requestId: number) => void} call
   * @returns {Promise<any>} the answer.
   */
  async ask(method, call) {
    this.check(method);

    const { answer } = this.channel.post(method, (requestId) => call(this.native, requestId));

    return resultOf(await answer);
  }

  /**
   * Makes a request, synchronously, that creates an object below this one.
   *
   * @template C, T
   * @param {string} method
   * @param {Kind} kind - of the new object.
   * @param {(native: N, requestId: number) => C} call - returns the new native object.
   * @param {(core: Core<C>, result: any) => T} build - makes the entity, from its core and the answer.
   * @returns {Promise<T>} the entity. If this object closes before the answer, the worker closes the new one along
   * with it, and the promise rejects.
   */
  async create(method, kind, call, build) {
    this.debug(`${method}()`);
    this.check(method);

    const { channel } = this;
    const { handle, native, answer } = channel.post(method, (requestId) =>
      call(this.native, requestId),
    );
    const result = resultOf(await answer);

    this.check(method);
    return build(new Core({ channel, kind, handle, native, id: result.id, above: this }), result);
  }

  /**
   * Calls `hook` when everything below this entity is closed and the entity is about to emit its last events.
   *
   * @param {(event: string | undefined) => void} hook - called with the name of the event that ends the entity, such
   * as 'routerclose', or with undefined if the application closes the entity.
   */
  onClosing(hook) {
    this.#closing = this.#closing.concat(hook);
  }

  /**
   * Calls `hook` after the entity's last event; immediately, if it is closed.
   *
   * @param {() => void} hook
   */
  onClosed(hook) {
    if (this.closed) {
      hook();
    } else {
      this.#closed = this.#closed.concat(hook);
    }
  }

  /**
   * Closes the entity and its native object.
   *
   * @param {string} [event] - the event that the entity emits; undefined if the application closes the entity.
   */
  close(event) {
    if (!this.closed) {
      if (event === undefined) {
        this.debug(`${this.kind}.close()`);
      }
      this.closeNative();
      this.end(event);
    }
  }

  /**
   * Closes the entity as `close()` does, by a request that has an answer.
   *
   * @param {string} method
   * @param {(native: N, requestId: number) => void} call - closes the native object.
   * @returns {Promise<any>} the answer.
   */
  async closeAsking(method, call) {
    this.check(method);
    this.debug(`${method}()`);

    const { answer } = this.channel.post(method, (requestId) => call(this.native, requestId));

    this.end();
    return resultOf(await answer);
  }

  /** Closes the native object alone, without events: also for an object whose entity was never made. */
  closeNative() {
    /** @type {any} */ (this.native).close();
    this.channel.flushSoon();
  }

  /**
   * Closes the entity after its native object has closed.
   *
   * @param {string} [event]
   */
  end(event) {
    if (this.closed) {
      return;
    }
    if (event !== undefined) {
      this.debug(`${this.kind}: '${event}'`);
    }
    this.cascade();
    for (const hook of this.#closing) {
      hook(event);
    }
    if (this.entity) {
      if (event !== undefined) {
        emitSafely(this.entity, event, []);
      }
      emitSafely(this.entity, 'close', []);
      emitOnObserver(this.entity, 'close');
    }
    for (const hook of this.#closed) {
      hook();
    }
  }

  /** The first part of closing an entity: marks it as closed, then closes everything below it. */
  cascade() {
    this.closed = true;
    // A Worker stays subscribed, because the end of its thread is still to come. Only a Worker has nothing above it.
    if (this.#above) {
      this.channel.unsubscribe(this.handle);
      if (this.entity) {
        this.#unlink(this.#above);
      }
    }

    const below = [];

    for (let core = this.#first; core; core = core.#next) {
      below.push(core);
    }
    for (const kind of TREE[this.kind].below) {
      for (const core of below.filter((each) => each.kind === kind)) {
        core.end(TREE[this.kind].event);
      }
    }
  }

  /**
   * Moves the entity below another one; its native object has already moved. If either closed before that was known,
   * the other closes too.
   *
   * @param {Core<any>} above
   */
  moveBelow(above) {
    if (this.closed) {
      this.closeNative();
      return;
    }
    if (this.#above) {
      this.#unlink(this.#above);
    }
    this.#above = above;
    this.#link(above);
    if (above.closed) {
      this.end(TREE[above.kind].event);
    }
  }

  /** @param {Core<any>} above */
  #link(above) {
    this.#previous = above.#last;
    if (above.#last) {
      above.#last.#next = this;
    } else {
      above.#first = this;
    }
    above.#last = this;
  }

  /** @param {Core<any>} above */
  #unlink(above) {
    if (this.#previous) {
      this.#previous.#next = this.#next;
    } else {
      above.#first = this.#next;
    }
    if (this.#next) {
      this.#next.#previous = this.#previous;
    } else {
      above.#last = this.#previous;
    }
    this.#previous = this.#next = undefined;
  }
}

exports.Core = Core;
