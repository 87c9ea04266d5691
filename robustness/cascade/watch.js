'use strict';

const { Entity, end } = require('./model');

/** @typedef {InstanceType<typeof Entity>} WatchedEntity */

/** The events of the close cascade. All others may be emitted at any time before. */
const LAST_EVENTS = new Set([
  'close',
  'workerclose',
  'listenserverclose',
  'routerclose',
  'transportclose',
  'dataproducerclose',
  'webrtctransportunhandled',
]);

/** @type {Record<string, string>} */
const CREATIONS = {
  newrouter: 'router',
  newwebrtcserver: 'webRtcServer',
  newtransport: 'transport',
  newdataproducer: 'dataProducer',
  newdataconsumer: 'dataConsumer',
};

/** Predicted events: of a call of close(), or (`late`) of a close that the worker notified. */
/** @typedef {{ events: Generator<string, void>, late: boolean }} Frame */

/**
 * Watches every event of objects, their observers, and all objects created below them. Compares each event, and what is
 * closed at that moment, with the model.
 */
class CascadeWatch {
  /** @type {WatchedEntity[]} */
  entities = [];
  /** How many listeners are running, each within another. */
  depth = 0;
  /** @type {string[]} */
  trace = [];
  /** @type {Error | undefined} the first failure. */
  failure;

  /** @type {Frame[]} */
  #frames = [];
  /** Calls of pipeToRouter() that have not settled. */
  #pipes = 0;
  #names = 0;
  /** @type {{ emitter: string, error: Error } | undefined} */
  #thrown;
  /** @type {Map<WatchedEntity, number>} */
  #lastMessage = new Map();
  #react;

  /** @param {() => Error | undefined} react - called for each event; returns an error for the listener to throw. */
  constructor(react) {
    this.#react = react;
  }

  /**
   * Closes an object, and checks the events.
   *
   * @param {WatchedEntity} entity
   */
  close(entity) {
    this.note(`${entity.name}.close() {`);
    if (entity.loose) {
      entity.object.close();
    } else {
      const frame = { events: end(entity), late: false };

      this.#dropFinished();
      this.#frames.push(frame);
      entity.object.close();
      this.#expectFinished(frame);
      this.#frames.pop();
    }
    this.note('}');
    if (!entity.object.closed) {
      this.fail(`${entity.name} is open after its close()`);
    }
  }

  /**
   * Watches an object.
   *
   * @param {string} kind
   * @param {any} object
   * @param {WatchedEntity} [above]
   */
  add(kind, object, above) {
    const entity = new Entity(kind, `${kind}${++this.#names}`, object, above);

    if (above?.managed || (object.type === 'pipe' && !object.appData.mine)) {
      entity.managed = true;
      entity.loose = true;
    }
    if (object.appData.server) {
      entity.server = /** @type {WatchedEntity} */ (object.appData.server);
      entity.server.served.set(entity, false);
    }
    if (kind === 'dataConsumer') {
      const router = entity.within('router');

      entity.dataProducer = this.entities.findLast(
        (it) =>
          it.kind === 'dataProducer' &&
          it.object.id === object.dataProducerId &&
          it.within('router') === router,
      );
    }
    this.entities.push(entity);
    this.#listen(entity, object, '');
    this.#listen(entity, object.observer, '.observer');
  }

  /**
   * Intercepts all events, including unknown ones.
   *
   * @param {WatchedEntity} entity
   * @param {any} emitter
   * @param {string} suffix
   */
  #listen(entity, emitter, suffix) {
    emitter.emit = (/** @type {string} */ event, /** @type {any[]} */ ...args) => {
      this.depth++;
      try {
        this.#onEvent(entity, suffix, event, args);
      } finally {
        this.depth--;
      }

      const heard = Object.getPrototypeOf(emitter).emit.call(emitter, event, ...args);

      // Without a listener, the package would print a warning.
      return heard || event === 'listenererror';
    };
  }

  /**
   * @param {WatchedEntity} entity
   * @param {string} suffix
   * @param {string} event
   * @param {any[]} args
   */
  #onEvent(entity, suffix, event, args) {
    const emitter = `${entity.name}${suffix}`;
    const line = `${emitter} ${event}`;

    this.note(line);
    if (this.#thrown) {
      const { emitter: expected, error } = this.#thrown;

      this.#thrown = undefined;
      if (event !== 'listenererror' || emitter !== expected || args[1] !== error) {
        this.fail(`${line} where ${expected} listenererror was expected`);
      }
      return;
    }
    if (event === 'listenererror') {
      return this.fail(`${line}, but no listener has thrown`);
    }
    if (entity.ended && event !== 'subprocessclose') {
      return this.fail(`${line} after its observer's close`);
    }
    if (LAST_EVENTS.has(event)) {
      this.#onLastEvent(entity, line, event);
    } else if (event in CREATIONS) {
      this.add(CREATIONS[event], args[0], entity);
    } else if (event === 'webrtctransporthandled') {
      entity.served.set(this.find(args[0]), true);
    } else if (event === 'message') {
      this.#onMessage(entity, Number(args[0]));
    }
    // While a loose object closes, model and objects differ.
    if (!entity.loose) {
      this.#reactTo(emitter);
    }
  }

  /** @param {string} emitter */
  #reactTo(emitter) {
    const error = this.#react();

    if (error) {
      this.note(`${emitter}: a listener throws`);
      this.#thrown = { emitter, error };
      throw error;
    }
  }

  /**
   * @param {WatchedEntity} entity
   * @param {string} line
   * @param {string} event
   */
  #onLastEvent(entity, line, event) {
    if (entity.loose) {
      entity.closed = true;
    } else {
      const expected = this.#expected(entity, event);

      if (expected !== line) {
        this.fail(`${line} where ${expected ?? 'nothing'} was expected`);
      }
      this.#checkFlags();
    }
    if (line === `${entity.name}.observer close`) {
      entity.ended = true;
    }
  }

  /**
   * The next predicted event or, if nothing is closing, the first event of what the worker may have closed.
   *
   * @param {WatchedEntity} entity
   * @param {string} event
   */
  #expected(entity, event) {
    if (this.depth === 1) {
      const [late] = this.#frames;
      const next = late?.late ? late.events.next() : undefined;

      if (next && !next.done) {
        return next.value;
      }
      if (late?.late) {
        this.#frames = [];
      }
    }

    const frame = this.#frames.at(-1);

    if (frame) {
      return frame.events.next().value ?? undefined;
    }
    if (event === 'dataproducerclose' && entity.dataProducer?.closed) {
      const events = end(entity, event);

      this.#frames.push({ events, late: true });
      return events.next().value ?? undefined;
    }
    return undefined;
  }

  /**
   * @param {WatchedEntity} dataConsumer
   * @param {number} number
   */
  #onMessage(dataConsumer, number) {
    if (number <= (this.#lastMessage.get(dataConsumer) ?? 0)) {
      this.fail(`message ${number} of ${dataConsumer.name} is out of order`);
    }
    this.#lastMessage.set(dataConsumer, number);
  }

  /** Drops the predictions of a close that the worker notified: that close has finished once other code runs. */
  #dropFinished() {
    if (this.depth === 0) {
      const [late] = this.#frames;

      if (late) {
        this.#expectFinished(late);
      }
      this.#frames = [];
    }
  }

  /** @param {Frame} frame */
  #expectFinished({ events }) {
    const { done, value } = events.next();

    if (!done) {
      this.fail(`${value} was not emitted`);
    }
  }

  #checkFlags() {
    if (this.#pipes > 0) {
      return; // The model skips loose objects, so it differs from the objects.
    }
    for (const { name, closed, loose, object } of this.entities) {
      if (object.closed !== closed && !loose) {
        this.fail(`${name}.closed is ${object.closed}`);
      }
    }
  }

  /** Checks the final state, after everything has settled. */
  check() {
    this.#dropFinished();
    this.#checkFlags();
    for (const { name, above, closed, ended, dataProducer, loose } of this.entities) {
      if (closed !== ended) {
        this.fail(`${name} is closed, but has not emitted close`);
      }
      if (!closed && (above?.closed || dataProducer?.closed || loose)) {
        this.fail(`${name} is still open`);
      }
    }
  }

  /**
   * Watches a call of pipeToRouter(): the objects that it creates close together from then on.
   *
   * @param {() => Promise<{ pipeDataConsumer: any, pipeDataProducer: any }>} call
   */
  async pipe(call) {
    this.#pipes++;
    try {
      const { pipeDataConsumer, pipeDataProducer } = await call();
      const [near, far] = [this.find(pipeDataConsumer), this.find(pipeDataProducer)];

      mirror(near, far);
      mirror(/** @type {WatchedEntity} */ (near.above), /** @type {WatchedEntity} */ (far.above));
    } finally {
      this.#pipes--;
      this.#tighten();
    }
  }

  /** Ends the loose state of objects when no call of pipeToRouter() is pending: they are predictable again. */
  #tighten() {
    if (this.#pipes > 0) {
      return;
    }

    const loose = this.entities.filter((it) => it.loose && !it.closed);

    for (const one of loose.filter(({ kind }) => kind === 'transport')) {
      const other = loose.find(
        ({ object }) => object.tuple?.localPort === one.object.tuple.remotePort,
      );

      if (other) {
        mirror(one, other);
      }
    }
  }

  /**
   * The open objects of a kind, or of all kinds.
   *
   * @param {string} [kind]
   */
  open(kind) {
    return this.entities.filter((it) => !it.closed && (kind === undefined || it.kind === kind));
  }

  /** @param {any} object */
  find(object) {
    return /** @type {WatchedEntity} */ (this.entities.find((it) => it.object === object));
  }

  /** @param {string} line */
  note(line) {
    this.trace.push(`${'  '.repeat(this.depth)}${line}`);
  }

  /** @param {string} message */
  fail(message) {
    this.note(`!!! ${message}`);
    this.failure ??= new Error(message);
  }

  /** Stops watching. */
  release() {
    for (const { object } of this.entities) {
      delete object.emit;
      delete object.observer.emit;
    }
  }
}

/**
 * @param {WatchedEntity} one
 * @param {WatchedEntity} other
 */
function mirror(one, other) {
  Object.assign(one, { loose: false, mirror: other });
  Object.assign(other, { loose: false, mirror: one });
}

module.exports = { CascadeWatch };
