'use strict';

// npm run robustness -- programs [--count=10000] [--seed=1] [--verbose]
//
// Random programs: each makes objects on two Workers, sends, pauses, pipes and closes them in random order, with and
// without awaiting, also from inside of listeners, some of which throw. A model of the close cascade foretells every
// event of every close() and what is closed after it; in the end nothing may be left in worker.dump(). A program that
// fails is told by its seed: `--count=1 --seed=N` runs it again.

const path = require('node:path');
const { parseArgs } = require('node:util');

const { Entity, end } = require('./cascadeModel');
const { Random } = require('./random');

const { createWorker, errors } = require(
  path.resolve(process.env.IMPL ?? path.join(__dirname, '..')),
);

const LISTEN_INFO = { protocol: 'udp', ip: '127.0.0.1' };
const STEPS = 30;
/** Listeners that call something may be as deep in each other. */
const MAX_DEPTH = 3;
/** What closes something elsewhere goes over a Worker and back; a chain of pipes may be so long. */
const HOPS = 6;

/** The events that belong to an end. All others may come at any time before. */
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
const NEWS = {
  newrouter: 'router',
  newwebrtcserver: 'webRtcServer',
  newtransport: 'transport',
  newdataproducer: 'dataProducer',
  newdataconsumer: 'dataConsumer',
};

/** What is being emitted: by a call of close(), or (`late`) because the worker said so. */
/** @typedef {{ events: Generator<string, void>, late: boolean }} Frame */

/** One program. */
class Program {
  /** @type {Entity[]} */
  #entities = [];
  /** @type {Frame[]} */
  #frames = [];
  /** @type {Promise<unknown>[]} */
  #pending = [];
  #depth = 0;
  #pipes = 0;
  #names = 0;
  /** @type {{ emitter: string, error: Error } | undefined} */
  #thrown;
  /** @type {Map<Entity, number>} */
  #lastMessage = new Map();
  #messages = 0;
  #random;
  /** @type {string[]} */
  trace = [];
  /** @type {Error | undefined} the first thing that went wrong. */
  failure;

  /**
   * @param {number} seed
   * @param {any[]} workers
   */
  constructor(seed, workers) {
    this.#random = new Random(seed);
    for (const worker of workers) {
      this.#add('worker', worker);
    }
  }

  async run() {
    for (let step = 0; step < STEPS && !this.failure; step++) {
      const promise = this.#act();

      if (this.#random.chance(60)) {
        await promise;
      } else if (this.#random.chance(30)) {
        await new Promise((resolve) => setImmediate(resolve));
      }
    }
    await this.#settle();
    this.#check();
    // Listeners may make others meanwhile.
    for (let left = this.#open(); left.some(isNotWorker) && !this.failure; left = this.#open()) {
      for (const entity of this.#random.shuffle(left.filter(isNotWorker))) {
        this.#close(entity);
      }
      await this.#settle();
      this.#check();
    }
    for (const worker of this.failure ? [] : this.workers) {
      await this.#expectNothing(worker);
    }
    for (const entity of this.#entities) {
      delete entity.object.emit;
      delete entity.object.observer.emit;
    }
  }

  /** The Workers that are still open. */
  get workers() {
    return this.#open()
      .filter(({ kind }) => kind === 'worker')
      .map(({ object }) => object);
  }

  // The actions.

  /** @returns {Promise<unknown> | undefined} */
  #act() {
    const random = this.#random;
    const actions = [
      () => this.#createRouter(),
      () => this.#createTransport(),
      () => this.#createTransport(),
      () => this.#produce(),
      () => this.#produce(),
      () => this.#consume(),
      () => this.#consume(),
      () => this.#consume(),
      () => this.#pipe(),
      () => this.#send(),
      () => this.#send(),
      () => this.#pause(),
      () => this.#ask(),
      () => this.#closeOne(),
      () => this.#closeOne(),
    ];

    return random.pick(actions)();
  }

  #createRouter() {
    const [worker, many] = [this.#pick('worker'), this.#open('router').length > 3];

    if (!worker || many) {
      return undefined;
    }
    return this.#random.chance(75)
      ? this.#call('createRouter', [worker], () => worker.object.createRouter())
      : this.#call('createWebRtcServer', [worker], () =>
          worker.object.createWebRtcServer({ listenInfos: [LISTEN_INFO] }),
        );
  }

  #createTransport() {
    const router = this.#pick('router');

    if (!router) {
      return undefined;
    }

    const { object } = router;
    const server = this.#pick('webRtcServer', ({ above }) => above === router.above);
    const options = { enableSctp: true, appData: { mine: true } };
    const makers = [
      () => object.createDirectTransport(),
      () => object.createDirectTransport(),
      () => object.createPlainTransport({ ...options, listenInfo: LISTEN_INFO }),
      () => object.createPipeTransport({ ...options, listenInfo: LISTEN_INFO }),
      () =>
        object.createWebRtcTransport({
          ...(server ? { webRtcServer: server.object } : { listenInfos: [LISTEN_INFO] }),
          enableSctp: true,
          appData: { server },
        }),
    ];

    return this.#call(
      'createTransport',
      server ? [router, server] : [router],
      this.#random.pick(makers),
    );
  }

  #produce() {
    const transport = this.#pick('transport', ({ managed }) => !managed);
    const streamId = this.#random.below(50);

    return (
      transport &&
      this.#call(
        'produceData',
        [transport],
        () => transport.object.produceData({ sctpStreamParameters: { streamId } }),
        /streamId/,
      )
    );
  }

  #consume() {
    const dataProducer = this.#pick('dataProducer');
    const router = dataProducer?.within('router');
    const transport = this.#pick('transport', (it) => !it.managed && it.above === router);

    return (
      dataProducer &&
      transport &&
      this.#call('consumeData', [transport, dataProducer], () =>
        transport.object.consumeData({ dataProducerId: dataProducer.object.id }),
      )
    );
  }

  #pipe() {
    const dataProducer = this.#pick('dataProducer', ({ loose }) => !loose);
    const from = dataProducer?.within('router');
    const to = this.#pick('router', (it) => it !== from);

    if (!dataProducer || !from || !to) {
      return undefined;
    }
    this.#pipes++;
    return this.#call(
      'pipeToRouter',
      [dataProducer, from, to],
      async () => {
        try {
          const { pipeDataConsumer, pipeDataProducer } = await from.object.pipeToRouter({
            dataProducerId: dataProducer.object.id,
            router: to.object,
            keepId: from.above !== to.above && this.#random.chance(50),
          });

          this.#join(this.#find(pipeDataConsumer), this.#find(pipeDataProducer));
        } finally {
          this.#pipes--;
          this.#tighten();
        }
      },
      // Its id is taken there, or a listener has closed what was being made.
      /already exists|not found|closed/i,
    );
  }

  #send() {
    const dataProducer = this.#pick('dataProducer', ({ object }) => object.type === 'direct');
    const dataConsumer = this.#pick('dataConsumer', ({ object }) => object.type === 'sctp');

    if (dataProducer && this.#random.chance(70)) {
      for (let count = this.#random.below(5); count >= 0; count--) {
        this.#sendOne(dataProducer);
      }
      return undefined;
    }
    return (
      dataConsumer &&
      this.#call('send', [dataConsumer], () => dataConsumer.object.send('x'), /message send failed/)
    );
  }

  /** @param {Entity} dataProducer */
  #sendOne(dataProducer) {
    try {
      dataProducer.object.send(String(++this.#messages));
    } catch (error) {
      if (!(error instanceof errors.WorkerClosedError && dataProducer.within('worker')?.closed)) {
        this.#fail(`${dataProducer.name}.send(): ${error}`);
      }
    }
  }

  #pause() {
    const entity = this.#pick(this.#random.pick(['dataProducer', 'dataConsumer']));
    const method = this.#random.pick(['pause', 'resume']);

    return entity && this.#call(method, [entity], () => entity.object[method]());
  }

  #ask() {
    const entity = this.#random.pick(this.#entities);

    return this.#call('dump', [entity], () => entity.object.dump());
  }

  #closeOne() {
    const kinds = ['dataProducer', 'dataConsumer', 'transport', 'dataProducer', 'dataConsumer'];
    const rare = ['router', 'webRtcServer', 'transport', 'router', 'worker'];
    const kind = this.#random.pick(this.#random.chance(75) ? kinds : rare);

    if (kind === 'worker' && !this.#random.chance(20)) {
      return undefined;
    }

    // Also what is closed already.
    const all = this.#entities.filter((it) => it.kind === kind);
    const entity = this.#random.chance(90)
      ? this.#pick(kind)
      : all[this.#random.below(all.length || 1)];

    if (entity) {
      this.#close(entity);
    }
    return undefined;
  }

  /** @param {Entity} entity */
  #close(entity) {
    this.#note(`${entity.name}.close() {`);
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
    this.#note('}');
    if (!entity.object.closed) {
      this.#fail(`${entity.name} is open after its close()`);
    }
  }

  /**
   * Makes a call that may fail only if one of `involved` is closed, or with an error like `unless`.
   *
   * @param {string} what
   * @param {Entity[]} involved
   * @param {() => Promise<unknown>} call
   * @param {RegExp} [unless]
   */
  #call(what, involved, call, unless) {
    this.#note(`${what}(${involved.map(({ name }) => name)})`);

    const promise = call().catch((error) => {
      const expected =
        involved.some(({ closed }) => closed) &&
        (error instanceof errors.NotFoundError ||
          error instanceof errors.WorkerClosedError ||
          error.message.includes('webRtcServer'));

      if (!expected && !unless?.test(error.message)) {
        this.#fail(`${what}(): ${error}`);
      }
    });

    this.#pending.push(promise);
    return promise;
  }

  // What is emitted.

  /**
   * @param {string} kind
   * @param {any} object
   * @param {Entity} [above]
   */
  #add(kind, object, above) {
    const entity = new Entity(kind, `${kind}${++this.#names}`, object, above);

    if (above?.managed || (object.type === 'pipe' && !object.appData.mine)) {
      entity.managed = true;
      entity.loose = true;
    }
    if (object.appData.server) {
      entity.server = /** @type {Entity} */ (object.appData.server);
      entity.server.served.set(entity, false);
    }
    if (kind === 'dataConsumer') {
      const router = entity.within('router');

      entity.dataProducer = this.#entities.findLast(
        (it) =>
          it.kind === 'dataProducer' &&
          it.object.id === object.dataProducerId &&
          it.within('router') === router,
      );
    }
    this.#entities.push(entity);
    this.#listen(entity, object, '');
    this.#listen(entity, object.observer, '.observer');
  }

  /**
   * Hears all events, the unknown ones, too: this is each object's only listener.
   *
   * @param {Entity} entity
   * @param {any} emitter
   * @param {string} suffix
   */
  #listen(entity, emitter, suffix) {
    emitter.emit = (/** @type {string} */ event, /** @type {any[]} */ ...args) => {
      this.#depth++;
      try {
        this.#heard(entity, suffix, event, args);
      } finally {
        this.#depth--;
      }
      return Object.getPrototypeOf(emitter).emit.call(emitter, event, ...args);
    };
  }

  /**
   * @param {Entity} entity
   * @param {string} suffix
   * @param {string} event
   * @param {any[]} args
   */
  #heard(entity, suffix, event, args) {
    const emitter = `${entity.name}${suffix}`;
    const line = `${emitter} ${event}`;

    this.#note(line);
    if (this.#thrown) {
      const { emitter: expected, error } = this.#thrown;

      this.#thrown = undefined;
      if (event !== 'listenererror' || emitter !== expected || args[1] !== error) {
        this.#fail(`${line} where ${expected} listenererror was expected`);
      }
      return;
    }
    if (event === 'listenererror') {
      return this.#fail(`${line}, but nobody has thrown`);
    }
    if (entity.ended && event !== 'subprocessclose') {
      return this.#fail(`${line} after its observer's close`);
    }
    if (LAST_EVENTS.has(event)) {
      this.#heardLast(entity, line, event);
    } else if (event in NEWS) {
      this.#add(NEWS[event], args[0], entity);
    } else if (event === 'webrtctransporthandled') {
      entity.served.set(this.#find(args[0]), true);
    } else if (event === 'message') {
      this.#heardMessage(entity, Number(args[0]));
    }
    this.#react(emitter);
  }

  /**
   * @param {Entity} entity
   * @param {string} line
   * @param {string} event
   */
  #heardLast(entity, line, event) {
    if (entity.loose) {
      entity.closed = true;
    } else {
      const expected = this.#expected(entity, event);

      if (expected !== line) {
        this.#fail(`${line} where ${expected ?? 'nothing'} was expected`);
      }
      this.#checkFlags();
    }
    if (event === 'close') {
      entity.ended = true;
    }
  }

  /**
   * The next line of what is being closed; or, if that is nothing, the first of what the worker may have closed.
   *
   * @param {Entity} entity
   * @param {string} event
   */
  #expected(entity, event) {
    if (this.#depth === 1) {
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
   * @param {Entity} dataConsumer
   * @param {number} number
   */
  #heardMessage(dataConsumer, number) {
    if (number <= (this.#lastMessage.get(dataConsumer) ?? 0)) {
      this.#fail(`message ${number} of ${dataConsumer.name} is out of order`);
    }
    this.#lastMessage.set(dataConsumer, number);
  }

  /**
   * A listener that does something, at times.
   *
   * @param {string} emitter
   */
  #react(emitter) {
    if (this.#depth > MAX_DEPTH || !this.#random.chance(15) || this.failure) {
      return;
    }
    void this.#act();
    if (this.#random.chance(20)) {
      const error = new Error('thrown by a listener');

      this.#note(`${emitter}: a listener throws`);
      this.#thrown = { emitter, error };
      throw error;
    }
  }

  // What must hold.

  /** What the worker had closed is over once other code runs. */
  #dropFinished() {
    if (this.#depth === 0) {
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
      this.#fail(`${value} was not emitted`);
    }
  }

  #checkFlags() {
    if (this.#pipes > 0) {
      return; // What is loose is passed over, so the model is not where the objects are.
    }
    for (const { name, closed, loose, object } of this.#entities) {
      if (object.closed !== closed && !loose) {
        this.#fail(`${name}.closed is ${object.closed}`);
      }
    }
  }

  /** Waits until everything that was begun has come to its end. */
  async #settle() {
    for (let settled = 0; settled < this.#pending.length;) {
      settled = this.#pending.length;
      await Promise.all(this.#pending);
    }
    for (let hop = 0; hop < HOPS; hop++) {
      for (const worker of this.workers) {
        await worker.dump().catch(() => {});
      }
      await Promise.all(this.#pending);
    }
  }

  #check() {
    this.#dropFinished();
    this.#checkFlags();
    for (const { name, above, closed, ended, dataProducer, loose } of this.#entities) {
      if (closed !== ended) {
        this.#fail(`${name} is closed, but has not said so`);
      }
      if (!closed && (above?.closed || dataProducer?.closed || loose)) {
        this.#fail(`${name} is still open`);
      }
    }
  }

  /** @param {any} worker */
  async #expectNothing(worker) {
    const { webRtcServerIds, routerIds, channelMessageHandlers } = await worker.dump();
    const left = [
      ...webRtcServerIds,
      ...routerIds,
      ...Object.values(channelMessageHandlers).flat(),
    ];

    if (left.length > 0) {
      this.#fail(`${left.length} objects are left in worker.dump()`);
    }
  }

  /**
   * pipeToRouter() has answered: from now on the two close together.
   *
   * @param {Entity} dataConsumer
   * @param {Entity} dataProducer
   */
  #join(dataConsumer, dataProducer) {
    for (const [one, other] of [
      [dataConsumer, dataProducer],
      [dataConsumer.above, dataProducer.above],
    ]) {
      if (one && other) {
        mirror(one, other);
      }
    }
  }

  /** No pipe is being made: what there is of them will not close by itself. */
  #tighten() {
    if (this.#pipes > 0) {
      return;
    }

    const loose = this.#entities.filter((it) => it.loose && !it.closed);

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
   * The open ones of a kind, or of all.
   *
   * @param {string} [kind]
   */
  #open(kind) {
    return this.#entities.filter((it) => !it.closed && (kind === undefined || it.kind === kind));
  }

  /**
   * @param {string} kind
   * @param {(entity: Entity) => boolean} [condition]
   * @returns {Entity | undefined} an open one.
   */
  #pick(kind, condition = () => true) {
    const entities = this.#open(kind).filter(condition);

    return entities[this.#random.below(entities.length || 1)];
  }

  /** @param {any} object */
  #find(object) {
    return /** @type {Entity} */ (this.#entities.find((it) => it.object === object));
  }

  /** @param {string} line */
  #note(line) {
    this.trace.push(`${'  '.repeat(this.#depth)}${line}`);
  }

  /** @param {string} message */
  #fail(message) {
    this.#note(`!!! ${message}`);
    this.failure ??= new Error(message);
  }
}

/**
 * @param {Entity} one
 * @param {Entity} other
 */
function mirror(one, other) {
  Object.assign(one, { loose: false, mirror: other });
  Object.assign(other, { loose: false, mirror: one });
}

/** @param {Entity} entity */
function isNotWorker({ kind }) {
  return kind !== 'worker';
}

async function main() {
  const { values } = parseArgs({
    options: {
      count: { type: 'string', default: '10000' },
      seed: { type: 'string', default: '1' },
      verbose: { type: 'boolean', default: false },
    },
  });
  const [count, first] = [Number(values.count), Number(values.seed)];
  const began = performance.now();
  let workers = [];
  let events = 0;

  for (let seed = first; seed < first + count; seed++) {
    while (workers.length < 2) {
      workers.push(await createWorker());
    }

    const program = new Program(seed, workers);

    await program.run();
    if (values.verbose || program.failure) {
      console.log(program.trace.join('\n'));
    }
    if (program.failure) {
      throw new Error(`the program of seed ${seed}: ${program.failure.message}`);
    }
    events += program.trace.length;
    workers = program.workers;
  }
  workers.forEach((worker) => worker.close());

  const seconds = ((performance.now() - began) / 1_000).toFixed(1);

  console.log(
    `${count} programs, seeds ${first} to ${first + count - 1}, as foretold: ` +
      `${events} calls and events, ${seconds} s`,
  );
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
