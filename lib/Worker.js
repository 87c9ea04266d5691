'use strict';

const { Channel } = require('./Channel');
const { Core } = require('./Core');
const { emitSafely } = require('./EnhancedEventEmitter');
const { Entity, emitOnObserver } = require('./Entity');
const { Logger } = require('./Logger');
const { Router } = require('./Router');
const { WebRtcServer } = require('./WebRtcServer');
const { drained } = require('./drained');
const { checkMediaCodecs } = require('./media');
const { track } = require('./metrics/workers');
const { Worker: NativeWorker } = require('./native');
const validate = require('./options/validate');
const {
  parseLogSettings,
  parseWebRtcServerOptions,
  parseWorkerSettings,
} = require('./options/worker');
const symbols = require('./symbols');

/** @import { AppData, Worker as Contract } from '..' */

const logger = new Logger('Worker');

/**
 * @template {AppData} [A=AppData]
 * @extends {Entity<import('..').WorkerEvents, import('..').WorkerObserverEvents, A>}
 * @implements {Contract<A>}
 */
class Worker extends Entity {
  #core;
  #channel;
  #pid;
  /**
   * The fingerprints of the certificate that all WebRtcTransports of the worker present.
   *
   * @type {import('..').DtlsFingerprint[]}
   */
  #dtlsFingerprints = [];
  /** Called with the last metrics of the worker. */
  #untrack = (/** @type {import('./answers').WorkerMetrics | null} */ _last) => {};
  #died = false;
  #subprocessClosed = false;

  /**
   * @template {AppData} A
   * @param {import('..').WorkerSettings<A>} [settings]
   * @returns {Promise<Worker<A>>} resolves once the thread of the worker runs.
   */
  static async create(settings) {
    const given = validate.object(settings, 'settings');
    const appData = validate.appData(given.appData);
    const parsed = await parseWorkerSettings(given);
    const worker = new Worker(appData);

    try {
      /** @type {import('./answers').WorkerAnswer} */
      const answer = await worker.#core.request('worker.start', (native, id) =>
        native.start(id, JSON.stringify(parsed)),
      );

      worker.#dtlsFingerprints = answer.dtlsFingerprints;
      worker.#untrack = track(worker.#core, worker.#pid);
    } catch (error) {
      emitSafely(worker, '@failure', [error]);
      worker.close();
      throw error;
    }
    emitSafely(worker, '@success', []);
    return worker;
  }

  /** @param {A} appData */
  constructor(appData) {
    const channel = new Channel(NativeWorker);
    const core = new Core({ channel, kind: 'worker', handle: 0, native: channel.native });

    super(core, appData, { onEvent: (name, args) => this.#onEvent(name, args) });
    this.#core = core;
    this.#channel = channel;
    this.#pid = channel.native.threadId;
  }

  get pid() {
    return this.#pid;
  }

  get died() {
    return this.#died;
  }

  get subprocessClosed() {
    return this.#subprocessClosed;
  }

  /** @override */
  close() {
    if (!this.#core.closed) {
      this.#channel.close();
      this.#core.close();
    }
  }

  async dump() {
    return this.#core.request('worker.dump', (native, id) => native.dump(id));
  }

  async getResourceUsage() {
    return this.#core.request('worker.getResourceUsage', (native, id) =>
      native.getResourceUsage(id),
    );
  }

  /** @param {import('..').DrainedOptions} [options] */
  drained(options) {
    return drained(this.#core, 'worker.drained', options);
  }

  /** @param {import('..').WorkerUpdateableSettings<A>} [settings] */
  async updateSettings(settings) {
    const parsed = parseLogSettings(validate.object(settings, 'settings'));

    await this.#core.request('worker.updateSettings', (native, id) =>
      native.updateSettings(id, JSON.stringify(parsed)),
    );
  }

  /**
   * @template {AppData} [S=AppData]
   * @param {import('..').WebRtcServerOptions<S>} options
   * @returns {Promise<WebRtcServer<S>>}
   */
  async createWebRtcServer(options) {
    const { given, appData } = validate.options(options);
    const parsed = parseWebRtcServerOptions(given);

    return this.#core.create(
      'worker.createWebRtcServer',
      'webRtcServer',
      (native, requestId) => native.createWebRtcServer(requestId, JSON.stringify(parsed)),
      (core, result) => {
        const webRtcServer = new WebRtcServer(core, result, appData);

        emitOnObserver(this, 'newwebrtcserver', webRtcServer);
        return webRtcServer;
      },
    );
  }

  /**
   * @template {AppData} [R=AppData]
   * @param {import('..').RouterOptions<R>} [options]
   * @returns {Promise<Router<R>>}
   */
  async createRouter(options) {
    const { given, appData } = validate.options(options);

    if (validate.given(given.mediaCodecs)) {
      checkMediaCodecs(given.mediaCodecs, 'worker.createRouter()');
    }

    return this.#core.create(
      'worker.createRouter',
      'router',
      (native, requestId) => native.createRouter(requestId),
      (core, result) => {
        const router = new Router(core, result, this.#dtlsFingerprints, appData);

        emitOnObserver(this, 'newrouter', router);
        return router;
      },
    );
  }

  async [symbols.asyncDispose]() {
    this.close();
    if (!this.#subprocessClosed) {
      await new Promise((resolve) => this.once('subprocessclose', () => resolve(undefined)));
    }
  }

  /**
   * @param {string} name
   * @param {any[]} args
   */
  #onEvent(name, args) {
    switch (name) {
      case 'log':
        this.#onLog(args[0], args[1]);
        break;
      case 'died':
        this.#onDied(args[0]);
        break;
      case 'subprocessclose':
        this.#untrack(args[0]);
        this.#onSubprocessClose();
        break;
      default:
        this.#core.onUnknownEvent(name);
    }
  }

  /**
   * @param {'debug' | 'warn' | 'error'} level
   * @param {string} text
   */
  #onLog(level, text) {
    logger[level](`[pid:${this.#pid}] ${text}`);
  }

  /** @param {string} reason */
  #onDied(reason) {
    if (this.#core.closed) {
      return;
    }
    logger.error(`the worker died [pid:${this.#pid}]: ${reason}`);
    this.#died = true;
    this.#channel.close();
    this.#core.cascade();
    emitSafely(this, 'died', [new Error(`[pid:${this.#pid}] ${reason}`)]);
    emitSafely(this, 'close', []);
  }

  #onSubprocessClose() {
    this.#subprocessClosed = true;
    emitSafely(this, 'subprocessclose', []);
    if (this.#died) {
      emitOnObserver(this, 'close');
    }
  }
}

exports.Worker = Worker;
