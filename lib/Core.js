'use strict';

const { resultOf } = require('./Channel');
const { tellObserver } = require('./Entity');
const { Logger } = require('./Logger');
const { NotFoundError } = require('./errors');

/** @typedef {keyof typeof TREE} Kind */

/**
 * Who is below whom, in the order in which they close, and what those below emit when the one above closes.
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

/** @type {Record<Kind, Logger>} */
const LOGGERS = {
  worker: new Logger('Worker'),
  webRtcServer: new Logger('WebRtcServer'),
  router: new Logger('Router'),
  transport: new Logger('Transport'),
  dataProducer: new Logger('DataProducer'),
  dataConsumer: new Logger('DataConsumer'),
};

/**
 * Hooks are added by copying: most entities have one at most, and an array that has grown keeps room for 17.
 *
 * @type {readonly never[]}
 */
const NO_HOOKS = [];

/**
 * The inner side of an entity, which the application does not see: its place in the tree, its native object, and its
 * end. The close cascade is here and nowhere else:
 *
 *     close() of one object: the native side is told, then, at once,
 *       each object below it, in the order of TREE:   its own cascade · its event ('transportclose' …) · observer 'close'
 *       the object itself:                            observer 'close'
 *
 * @template N - the type of the native object.
 */
class Core {
  /** @type {Core<any> | undefined} */
  #above;
  /**
   * The first and the last of those below, of all kinds, in the order in which they came. They are linked with each
   * other, and unlinked when they close: that costs the same however many there are.
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
   * @param {Core<any>} [options.above]
   */
  constructor({ channel, kind, handle, native, above }) {
    this.channel = channel;
    this.kind = kind;
    this.handle = handle;
    this.native = native;
    this.closed = false;
    /** @type {import('./Entity').Entity<any, any, any> | undefined} */
    this.entity = undefined;
    this.#above = above;
  }

  /**
   * Gives the core its entity: from now on the entity hears of the worker's events, and closes with what is above.
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
   * @param {string} method
   * @throws {import('./errors').WorkerClosedError}
   * @throws {NotFoundError}
   */
  check(method) {
    this.channel.check(method);
    if (this.closed) {
      throw new NotFoundError(
        `Channel request handler with ID ${this.id} not found [method:${method}]`,
      );
    }
  }

  /** @returns {string} of the entity. */
  get id() {
    return /** @type {any} */ (this.entity)?.id ?? '';
  }

  /**
   * Writes a line about this object into the log.
   *
   * @param {string} line
   */
  debug(line) {
    if (this.debugs) {
      LOGGERS[this.kind].debug(this.id ? `${line} [id:${this.id}]` : line);
    }
  }

  /** Whether anybody gets the lines of `debug()`. */
  get debugs() {
    return LOGGERS[this.kind].debugs;
  }

  /**
   * Makes a request, at once, and logs it.
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
   * As `request()`, for what is called too often for the log.
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
   * Makes a request that creates an object below this one, at once.
   *
   * @template C, T
   * @param {string} method
   * @param {Kind} kind - of the new object.
   * @param {(native: N, requestId: number) => C} call - returns the new native object.
   * @param {(core: Core<C>, result: any) => T} build - makes the entity, from its core and the answer.
   * @returns {Promise<T>} the entity. If this object was closed meanwhile, so was the new one, natively: the promise
   * rejects, and nothing is left.
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
    return build(new Core({ channel, kind, handle, native, above: this }), result);
  }

  /**
   * Calls `hook` when all below is closed and the entity is about to emit its last events.
   *
   * @param {(event: string | undefined) => void} hook - told the event, if it is not the application that closes it.
   */
  onClosing(hook) {
    this.#closing = this.#closing.concat(hook);
  }

  /**
   * Calls `hook` when the entity has emitted its last event; at once, if it is closed.
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
   * Closes it, natively as well.
   *
   * @param {string} [event] - what the entity emits, if somebody else than the application closes it.
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

  /** Closes what has an entity no more, or never had one. */
  closeNative() {
    /** @type {any} */ (this.native).close();
    this.channel.flushSoon();
  }

  /**
   * Closes what is closed natively already.
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
    this.emitLast(event);
  }

  /** The first part of its end: closed it is, and so is all below. */
  cascade() {
    this.closed = true;
    // A Worker, which nothing is above, still hears of the end of its thread.
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
   * The second part: its last events.
   *
   * @param {string} [event]
   */
  emitLast(event) {
    if (event !== undefined) {
      this.entity?.safeEmit(event);
    }
    if (this.entity) {
      tellObserver(this.entity, 'close');
    }
    for (const hook of this.#closed) {
      hook();
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
