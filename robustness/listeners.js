'use strict';

// npm run robustness -- listeners [--count=1000] [--seconds=N] [--seed=1] [--verbose]
//
// Hostile listeners: random listeners on every event of every object and observer throw values of all kinds, close
// objects, send, replace or delete methods, override getters and exhaust the stack, while a random program sends and
// closes. Whatever they do, each close() closes all objects below at once, everything else goes on, two honest
// objects beside them get each message, and nothing reaches the process. `--count=1 --seed=N` repeats a program that
// failed; `--seconds` is the time after which no further program starts.

const { EventEmitter } = require('node:events');
const { setTimeout: sleep } = require('node:timers/promises');

const names = require('../__test__/helpers/eventNames');
const { IMPL } = require('../bench/implementation');
const { Random } = require('./random');
const { runSeeds } = require('./seeds');
const { THROWN } = require('./thrown');

/** @type {any} */
const datasoup = require(IMPL);

const LISTEN_INFO = { protocol: 'udp', ip: '127.0.0.1' };
const STEPS = 40;
const PATIENCE_MS = 20_000;
/** How many acts hostile listeners may perform in one program, as an act may cause further ones. */
const MAX_ACTS = 200;

const EVENTS = [...new Set([...names.EVENTS, ...names.OBSERVER_EVENTS, 'demand'])];

const OVERRIDDEN = [
  'id',
  'closed',
  'type',
  'observer',
  'constructor',
  'emit',
  'safeEmit',
  'close',
  'on',
];

/** @typedef {{ object: any, above?: Node, kind: string }} Node */

/**
 * A method or the value of a getter of the class, whatever was replaced since.
 *
 * @type {(object: any, name: string) => any}
 */
const original = (() => {
  /** @type {Map<any, Map<string, PropertyDescriptor>>} */
  const known = new Map();

  return (object, name) => {
    for (let owner = Object.getPrototypeOf(object); owner; owner = Object.getPrototypeOf(owner)) {
      const members =
        known.get(owner) ?? new Map(Object.entries(Object.getOwnPropertyDescriptors(owner)));

      known.set(owner, members);

      const member = members.get(name);

      if (member) {
        return member.get
          ? member.get.call(object)
          : (/** @type {any[]} */ ...args) => member.value.apply(object, args);
      }
    }
    throw new Error(`no member ${name}`);
  };
})();

/** A direct DataProducer and its DataConsumer, which no hostile listener touches. */
class Honest {
  sent = 0;
  received = 0;
  /** @type {string | undefined} */
  failure;

  /** @param {any} router */
  async start(router) {
    const transport = await router.createDirectTransport();

    this.producer = await transport.produceData();

    const consumer = await transport.consumeData({ dataProducerId: this.producer.id });

    consumer.on('message', (/** @type {Buffer} */ message, /** @type {number} */ ppid) => {
      const expected = this.text(++this.received);

      if (message.toString() !== expected || ppid !== 51) {
        this.failure ??= `the honest DataConsumer got '${message.toString().slice(0, 80)}' for '${expected.slice(0, 80)}'`;
      }
    });
    return this;
  }

  send() {
    this.producer.send(this.text(++this.sent));
  }

  /** @param {number} number */
  text(number) {
    return `${number} `.repeat(1 + (number % 7 === 0 ? 2_000 : number % 40));
  }
}

/** One program. */
class Program {
  #random;
  #honest;
  #workers;
  /** @type {Node[]} */
  #nodes = [];
  #acts = 0;
  /** How many calls of close() are running, each within another. */
  #closes = 0;
  /** @type {(() => void)[]} */
  #restore = [];
  /** @type {string[]} */
  trace = [];
  /** @type {string | undefined} */
  failure;

  /**
   * @param {number} seed
   * @param {any[]} workers
   * @param {Honest} honest
   */
  constructor(seed, workers, honest) {
    this.#random = new Random(seed);
    this.#workers = workers;
    this.#honest = honest;
  }

  async run() {
    if (this.#random.chance(30)) {
      this.#breakLog();
    }
    await this.#create();
    this.#listen();
    for (let step = 0; step < STEPS && !this.failure; step++) {
      this.#honest.send();
      this.#step();
      if (this.#random.chance(30)) {
        await new Promise((resolve) => setImmediate(resolve));
      }
    }
    // The Workers, which all programs share, are the only objects left open.
    for (const node of this.#random.shuffle(this.#nodes)) {
      if (!this.failure) {
        this.#close(node);
      }
    }
    this.#restore.forEach((restore) => restore());
    for (const worker of this.#workers) {
      for (const emitter of [worker, worker.observer]) {
        emitter.removeAllListeners();
      }
      await this.#answered(worker);
    }
    await this.#answered(this.#workers[0]);
    this.#expect(this.#honest.received === this.#honest.sent, () => {
      return `the honest DataConsumer got ${this.#honest.received} of ${this.#honest.sent} messages`;
    });
    this.failure ??= this.#honest.failure;
    for (const { object, kind } of this.#nodes) {
      this.#expect(original(object, 'closed') === true, () => `a ${kind} is open at the end`);
    }
  }

  /** Creates objects of all kinds on both Workers. */
  async #create() {
    const [worker, other] = this.#workers;
    const server = await worker.createWebRtcServer({ listenInfos: [LISTEN_INFO] });
    const router = await worker.createRouter();
    const far = await other.createRouter();
    const direct = await router.createDirectTransport();
    const options = {
      enableSctp: true,
      sctpSendBufferSize: 2_000,
      sctpPerStreamSendQueueLimit: 1_000,
    };
    const webRtc = await router.createWebRtcTransport({ ...options, webRtcServer: server });
    const plain = await router.createPlainTransport({ ...options, listenInfo: LISTEN_INFO });
    const nodes = /** @type {Record<string, Node>} */ ({
      server: { object: server, kind: 'webRtcServer' },
    });

    nodes.router = { object: router, kind: 'router' };
    nodes.far = { object: far, kind: 'router' };
    for (const [name, object] of Object.entries({ direct, webRtc, plain })) {
      nodes[name] = { object, kind: 'transport', above: nodes.router };
    }
    this.#nodes.push(...Object.values(nodes));

    for (let number = 0; number < 3; number++) {
      const dataProducer = await direct.produceData({ maxBufferedAmount: 20_000 });

      this.#add(dataProducer, 'dataProducer', nodes.direct);
      for (const name of ['direct', 'webRtc', 'plain']) {
        const dataConsumer = await nodes[name].object.consumeData({
          dataProducerId: dataProducer.id,
          maxBufferedAmount: 5_000,
        });

        this.#add(dataConsumer, 'dataConsumer', nodes[name]);
      }
      if (number === 0) {
        const piped = await router.pipeToRouter({ dataProducerId: dataProducer.id, router: far });
        const farDirect = await far.createDirectTransport();
        const node = this.#add(farDirect, 'transport', nodes.far);

        this.#add(piped.pipeDataConsumer, 'dataConsumer', nodes.router);
        this.#add(piped.pipeDataProducer, 'dataProducer', nodes.far);
        this.#add(
          await farDirect.consumeData({ dataProducerId: piped.pipeDataProducer.id }),
          'dataConsumer',
          node,
        );
      }
    }
    this.#add(
      await webRtc.produceData({ sctpStreamParameters: { streamId: 1 } }),
      'dataProducer',
      nodes.webRtc,
    );
  }

  /**
   * @param {any} object
   * @param {string} kind
   * @param {Node} above
   * @returns {Node}
   */
  #add(object, kind, above) {
    const node = { object, kind, above };

    this.#nodes.push(node);
    return node;
  }

  get #emitters() {
    return [...this.#nodes.map(({ object }) => object), ...this.#workers].flatMap((object) => [
      object,
      original(object, 'observer'),
    ]);
  }

  /** Puts hostile listeners on random events of all objects. */
  #listen() {
    for (const emitter of this.#emitters) {
      for (const event of EVENTS) {
        if (this.#random.chance(event === 'listenererror' ? 30 : 50)) {
          original(emitter, 'on')(event, () => this.#act(event));
        }
      }
    }
  }

  /**
   * What a hostile listener does.
   *
   * @param {string} event
   */
  #act(event) {
    const random = this.#random;

    if (++this.#acts > MAX_ACTS) {
      // Still throws, so that the rest of the program has hostile listeners too.
      throw random.pick(THROWN).make();
    }

    const emitter = random.pick(this.#emitters);
    const acts = {
      throw: () => {},
      close: () => random.chance(30) && this.#close(random.pick(this.#nodes)),
      send: () => this.#send(),
      pause: () => this.#pause(),
      removeAllListeners: () => original(emitter, 'removeAllListeners')(random.pick(EVENTS)),
      on: () => original(emitter, 'on')(random.pick(EVENTS), () => this.#act('another')),
      emit: () => original(emitter, 'emit')(random.pick(EVENTS)),
      safeEmit: () => original(emitter, 'safeEmit')(random.pick(EVENTS)),
      override: () => this.#override(emitter, random.pick(OVERRIDDEN)),
      delete: () => this.#delete(emitter),
      exhaust: () => {
        const exhaust = () => {
          exhaust();
        };

        exhaust();
      },
    };
    const name = random.pick(/** @type {(keyof typeof acts)[]} */ (Object.keys(acts)));

    this.trace.push(`a listener of ${event}: ${name}`);
    acts[name]();
    if (random.chance(70)) {
      throw random.pick(THROWN).make();
    }
  }

  /**
   * @param {any} object
   * @param {string} name
   */
  #override(object, name) {
    Object.defineProperty(object, name, {
      configurable: true,
      get: () => {
        throw this.#random.pick(THROWN).make();
      },
    });
    this.#restore.push(() => delete object[name]);
  }

  /**
   * Deletes a method of a class of the package, or `emit()` of all EventEmitters.
   *
   * @param {any} emitter
   */
  #delete(emitter) {
    const names = ['emit', 'safeEmit', 'close', 'id', 'closed', 'observer'];
    const name = this.#random.pick(names);

    for (let owner = Object.getPrototypeOf(emitter); owner; owner = Object.getPrototypeOf(owner)) {
      const member = Object.getOwnPropertyDescriptor(owner, name);

      if (member && owner !== EventEmitter.prototype) {
        original(emitter, name);
        delete owner[name];
        this.#restore.push(() => Object.defineProperty(owner, name, member));
        return;
      }
    }
  }

  /** Makes every line of the log throw. */
  #breakLog() {
    const log = () => {
      throw this.#random.pick(THROWN).make();
    };
    const { emitWarning } = process;

    datasoup.setLogEventListeners({ ondebug: log, onwarn: log, onerror: log });
    process.emitWarning = log;
    this.#restore.push(() => {
      datasoup.setLogEventListeners();
      process.emitWarning = emitWarning;
    });
  }

  #step() {
    const random = this.#random;

    random.pick([
      () => this.#send(),
      () => this.#send(),
      () => this.#send(),
      () => this.#pause(),
      () => random.chance(20) && this.#close(random.pick(this.#nodes)),
    ])();
  }

  #send() {
    const { object } = this.#random.pick(
      this.#nodes.filter(({ kind }) => kind === 'dataProducer' || kind === 'dataConsumer'),
    );

    for (let count = this.#random.below(10); count >= 0; count--) {
      try {
        // Rejects if the DataConsumer is closed, or of type 'direct'.
        original(object, 'send')('x'.repeat(this.#random.below(3_000)))?.catch(() => {});
      } catch {
        // The queue is full, or the type is 'sctp'.
      }
    }
  }

  #pause() {
    const { object } = this.#random.pick(
      this.#nodes.filter(({ kind }) => kind === 'dataProducer' || kind === 'dataConsumer'),
    );

    original(object, this.#random.pick(['pause', 'resume']))().catch(() => {});
  }

  /**
   * Closes an object. The call must not throw, and all below must be closed when it returns, unless it is made by a
   * listener of another close(), which then closes the rest.
   *
   * @param {Node} node
   */
  #close(node) {
    this.trace.push(`close() of a ${node.kind}`);
    this.#closes++;
    try {
      original(node.object, 'close')();
    } catch {
      this.failure ??= `close() of a ${node.kind} threw`;
    }
    this.#closes--;
    for (const other of this.#closes === 0 ? this.#nodes : []) {
      const below = other === node || other.above === node || other.above?.above === node;

      this.#expect(
        !below || original(other.object, 'closed') === true,
        () => `a ${other.kind} is open after close() of a ${node.kind}`,
      );
    }
  }

  /**
   * Waits for an answer, and so for everything before it.
   *
   * @param {any} worker
   */
  async #answered(worker) {
    const answer = this.failure ? undefined : worker.dump();
    const patience = new AbortController();
    const stalled = sleep(PATIENCE_MS, 'stalled', patience).catch(() => {});

    if ((await Promise.race([answer, stalled])) === 'stalled') {
      this.failure ??= 'a Worker delivers nothing any more';
    }
    patience.abort();
  }

  /**
   * @param {boolean} condition
   * @param {() => string} failure
   */
  #expect(condition, failure) {
    if (!condition) {
      this.failure ??= failure();
    }
  }
}

async function main() {
  /** @type {string | undefined} */
  let escaped;
  const escape = (/** @type {unknown} */ thrown, /** @type {string} */ origin) => {
    escaped ??= `${typeof thrown} reached the process: ${origin}`;
  };

  process.on('uncaughtException', escape);
  process.on('unhandledRejection', (thrown) => escape(thrown, 'unhandledRejection'));
  // What the listeners throw is expected.
  process.removeAllListeners('warning');

  /** @type {any[]} */
  const workers = [];
  /** @type {Honest | undefined} */
  let honest;

  const { programs, acts, seconds } = await runSeeds(1_000, async (seed) => {
    while (workers.length < 2) {
      workers.push(await datasoup.createWorker());
    }
    honest ??= await new Honest().start(await workers[0].createRouter());

    const program = new Program(seed, workers, honest);

    await program.run();
    return { trace: program.trace, failure: program.failure ?? escaped };
  });
  workers.forEach((worker) => worker.close());

  console.log(
    `${programs}: ${acts} acts of listeners and closes, ${honest?.received ?? 0} messages beside them, ${seconds}`,
  );
}

exports.main = main;
