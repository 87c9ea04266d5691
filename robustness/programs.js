'use strict';

// npm run robustness -- programs [--count=10000] [--seconds=N] [--seed=1] [--verbose]
//
// Random programs: each creates, pauses, pipes and closes objects on two Workers and sends messages, in random order,
// with and without await, also within listeners, some of which throw. A model of the close cascade predicts every event
// of every close(), and what is closed after it. At the end worker.dump() must be empty. `--count=1 --seed=N` repeats a
// program that failed; `--seconds` is the time after which no further program starts.

const { IMPL } = require('../bench/implementation');
const { CascadeWatch } = require('./cascade/watch');
const { Random } = require('./random');
const { runSeeds } = require('./seeds');

const { createWorker, errors } = require(IMPL);

const LISTEN_INFO = { protocol: 'udp', ip: '127.0.0.1' };
const STEPS = 30;
/** The deepest nesting of listeners that act. */
const MAX_DEPTH = 3;
/** The pipes in the longest chain. A close takes a round trip to a Worker to cross each pipe. */
const HOPS = 6;

/** @typedef {InstanceType<typeof import('./cascade/model').Entity>} Entity */

/** One program. */
class Program {
  #random;
  #watch = new CascadeWatch(() => this.#react());
  /** @type {Promise<unknown>[]} */
  #pending = [];
  #messages = 0;

  /**
   * @param {number} seed
   * @param {any[]} workers
   */
  constructor(seed, workers) {
    this.#random = new Random(seed);
    for (const worker of workers) {
      this.#watch.add('worker', worker);
    }
  }

  get trace() {
    return this.#watch.trace;
  }

  get failure() {
    return this.#watch.failure;
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
    this.#watch.check();
    // Listeners may create further objects.
    for (
      let left = this.#watch.open();
      left.some(isNotWorker) && !this.failure;
      left = this.#watch.open()
    ) {
      for (const entity of this.#random.shuffle(left.filter(isNotWorker))) {
        this.#watch.close(entity);
      }
      await this.#settle();
      this.#watch.check();
    }
    for (const worker of this.failure ? [] : this.workers) {
      await this.#expectNothing(worker);
    }
    this.#watch.release();
  }

  /** The Workers that are still open. */
  get workers() {
    return this.#watch
      .open()
      .filter(({ kind }) => kind === 'worker')
      .map(({ object }) => object);
  }

  /**
   * Does one random action.
   *
   * @returns {Promise<unknown> | undefined}
   */
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
    const [worker, many] = [this.#pick('worker'), this.#watch.open('router').length > 3];

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
    return this.#call(
      'pipeToRouter',
      [dataProducer, from, to],
      () =>
        this.#watch.pipe(() =>
          from.object.pipeToRouter({
            dataProducerId: dataProducer.object.id,
            router: to.object,
            keepId: from.above !== to.above && this.#random.chance(50),
          }),
        ),
      // Errors that are expected here: the destination Router has a DataProducer of this id already, or a listener
      // closed one of the objects in the middle of the call.
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
        this.#watch.fail(`${dataProducer.name}.send(): ${error}`);
      }
    }
  }

  #pause() {
    const entity = this.#pick(this.#random.pick(['dataProducer', 'dataConsumer']));
    const method = this.#random.pick(['pause', 'resume']);

    return entity && this.#call(method, [entity], () => entity.object[method]());
  }

  #ask() {
    const entity = this.#random.pick(this.#watch.entities);

    return this.#call('dump', [entity], () => entity.object.dump());
  }

  #closeOne() {
    const kinds = ['dataProducer', 'dataConsumer', 'transport', 'dataProducer', 'dataConsumer'];
    const rare = ['router', 'webRtcServer', 'transport', 'router', 'worker'];
    const kind = this.#random.pick(this.#random.chance(75) ? kinds : rare);

    if (kind === 'worker' && !this.#random.chance(20)) {
      return undefined;
    }

    // In one of ten cases the entity may be closed already.
    const all = this.#watch.entities.filter((it) => it.kind === kind);
    const entity = this.#random.chance(90)
      ? this.#pick(kind)
      : all[this.#random.below(all.length || 1)];

    if (entity) {
      this.#watch.close(entity);
    }
    return undefined;
  }

  /**
   * Makes a call, which may fail only if one of `involved` is closed, or with an error that matches `unless`.
   *
   * @param {string} what
   * @param {Entity[]} involved
   * @param {() => Promise<unknown>} call
   * @param {RegExp} [unless]
   */
  #call(what, involved, call, unless) {
    this.#watch.note(`${what}(${involved.map(({ name }) => name)})`);

    const promise = call().catch((error) => {
      const expected =
        involved.some(({ closed }) => closed) &&
        (error instanceof errors.NotFoundError ||
          error instanceof errors.WorkerClosedError ||
          error.message.includes('webRtcServer'));

      if (!expected && !unless?.test(error.message)) {
        this.#watch.fail(`${what}(): ${error}`);
      }
    });

    this.#pending.push(promise);
    return promise;
  }

  /** Sometimes acts; returns an error for the listener to throw. */
  #react() {
    if (this.#watch.depth > MAX_DEPTH || !this.#random.chance(15) || this.failure) {
      return undefined;
    }
    void this.#act();
    return this.#random.chance(20) ? new Error('thrown by a listener') : undefined;
  }

  /** Waits until all calls have settled, and all closes have reached the other Workers. */
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

  /** @param {any} worker */
  async #expectNothing(worker) {
    const { webRtcServerIds, routerIds, channelMessageHandlers } = await worker.dump();
    const left = [
      ...webRtcServerIds,
      ...routerIds,
      ...Object.values(channelMessageHandlers).flat(),
    ];

    if (left.length > 0) {
      this.#watch.fail(`worker.dump() still lists ${left.length} closed objects`);
    }
  }

  /**
   * @param {string} kind
   * @param {(entity: Entity) => boolean} [condition]
   * @returns {Entity | undefined} an open entity of the kind, if there is one.
   */
  #pick(kind, condition = () => true) {
    const entities = this.#watch.open(kind).filter(condition);

    return entities[this.#random.below(entities.length || 1)];
  }
}

/** @param {Entity} entity */
function isNotWorker({ kind }) {
  return kind !== 'worker';
}

async function main() {
  /** @type {any[]} */
  let workers = [];

  const { programs, acts, seconds } = await runSeeds(10_000, async (seed) => {
    while (workers.length < 2) {
      workers.push(await createWorker());
    }

    const program = new Program(seed, workers);

    await program.run();
    workers = program.workers;
    return { trace: program.trace, failure: program.failure?.message };
  });
  workers.forEach((worker) => worker.close());

  console.log(`${programs}, as predicted: ${acts} calls and events, ${seconds}`);
}

exports.main = main;
