'use strict';

const { readFile } = require('node:fs/promises');

const { Worker: NativeWorker } = require('../native/binding.js');
const { Channel } = require('./Channel');
const { Core } = require('./Core');
const { Entity, tellObserver } = require('./Entity');
const { Logger } = require('./Logger');
const { Router } = require('./Router');
const { WebRtcServer } = require('./WebRtcServer');
const { parseListenInfos } = require('./listenInfo');
const { checkMediaCodecs } = require('./media');
const symbols = require('./symbols');
const validate = require('./validate');

/** @import { AppData, Worker as Contract } from '..' */

/** @type {import('..').WorkerLogLevel[]} */
const LOG_LEVELS = ['debug', 'warn', 'error', 'none'];
const RTC_MIN_PORT = 10_000;
const RTC_MAX_PORT = 59_999;

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
   * Of its certificate, which all of its WebRtcTransports present.
   *
   * @type {import('..').DtlsFingerprint[]}
   */
  #dtlsFingerprints = [];
  #died = false;
  #subprocessClosed = false;

  /**
   * @template {AppData} A
   * @param {import('..').WorkerSettings<A>} [settings]
   * @returns {Promise<Worker<A>>} once its thread runs.
   */
  static async create(settings) {
    const given = validate.object(settings, 'settings');
    const appData = validate.appData(given.appData);
    const data = await parseSettings(given);
    const worker = new Worker(appData);

    try {
      const { dtlsFingerprints } = await worker.#core.request('worker.start', (native, id) =>
        native.start(id, JSON.stringify(data)),
      );

      worker.#dtlsFingerprints = dtlsFingerprints;
    } catch (error) {
      worker.emit('@failure', /** @type {Error} */ (error));
      worker.close();
      throw error;
    }
    worker.emit('@success');
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
    if (!this.closed) {
      this.#channel.close();
      super.close();
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

  /** @param {import('..').WorkerUpdateableSettings<A>} [settings] */
  async updateSettings(settings) {
    const method = 'worker.updateSettings';

    this.#core.check(method);

    const data = parseLogSettings(validate.object(settings, 'settings'));

    await this.#core.request(method, (native, id) =>
      native.updateSettings(id, JSON.stringify(data)),
    );
  }

  /**
   * @template {AppData} [S=AppData]
   * @param {import('..').WebRtcServerOptions<S>} options
   * @returns {Promise<WebRtcServer<S>>}
   */
  async createWebRtcServer(options) {
    const method = 'worker.createWebRtcServer';

    this.#core.check(method);

    const given = validate.object(options, 'options');
    const appData = validate.appData(given.appData);
    const listenInfos = parseListenInfos(given.listenInfos);

    return this.#core.create(
      method,
      'webRtcServer',
      (native, requestId) => native.createWebRtcServer(requestId, JSON.stringify({ listenInfos })),
      (core, result) => {
        const webRtcServer = new WebRtcServer(core, result, appData);

        tellObserver(this, 'newwebrtcserver', webRtcServer);
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
    const method = 'worker.createRouter';

    this.#core.check(method);

    const given = validate.object(options, 'options');
    const appData = validate.appData(given.appData);

    if (validate.given(given.mediaCodecs)) {
      checkMediaCodecs(given.mediaCodecs, 'worker.createRouter()');
    }

    return this.#core.create(
      method,
      'router',
      (native, requestId) => native.createRouter(requestId, '{}'),
      (core, result) => {
        const router = new Router(core, result, this.#dtlsFingerprints, appData);

        tellObserver(this, 'newrouter', router);
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
        this.#onSubprocessClose();
        break;
      default:
        logger.error(`unknown event '${name}'`);
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
    if (this.closed) {
      return;
    }
    logger.error(`the worker died [pid:${this.#pid}]: ${reason}`);
    this.#died = true;
    this.#channel.close();
    this.#core.cascade();
    this.safeEmit('died', new Error(`[pid:${this.#pid}] ${reason}`));
  }

  #onSubprocessClose() {
    this.#subprocessClosed = true;
    this.safeEmit('subprocessclose');
    if (this.#died) {
      this.#core.emitLast();
    }
  }
}

/**
 * @param {Record<string, any>} settings
 * @returns {Promise<object>} as the worker wants them.
 */
async function parseSettings(settings) {
  const rtcMinPort = port(settings, 'rtcMinPort') ?? RTC_MIN_PORT;
  const rtcMaxPort = port(settings, 'rtcMaxPort') ?? RTC_MAX_PORT;
  const log = parseLogSettings(settings);

  if (rtcMinPort > rtcMaxPort) {
    throw new TypeError(`rtcMinPort (${rtcMinPort}) cannot be above rtcMaxPort (${rtcMaxPort})`);
  }

  const certificateFile = path(settings, 'dtlsCertificateFile');
  const privateKeyFile = path(settings, 'dtlsPrivateKeyFile');

  if ((certificateFile === undefined) !== (privateKeyFile === undefined)) {
    throw new TypeError('dtlsCertificateFile and dtlsPrivateKeyFile must be given together');
  }

  const [certificate, privateKey] = await Promise.all([
    readPem('dtlsCertificateFile', certificateFile),
    readPem('dtlsPrivateKeyFile', privateKeyFile),
  ]);

  return {
    logLevel: 'error',
    logTags: [],
    ...log,
    rtcMinPort,
    rtcMaxPort,
    certificate,
    privateKey,
  };
}

/**
 * @param {Record<string, any>} settings
 * @returns {import('..').WorkerUpdateableSettings} without what is not given.
 */
function parseLogSettings({ logLevel, logTags }) {
  /** @type {import('..').WorkerUpdateableSettings} */
  const parsed = {};

  if (validate.given(logLevel)) {
    parsed.logLevel = validate.oneOf(logLevel, 'logLevel', LOG_LEVELS);
  }
  if (validate.given(logTags)) {
    parsed.logTags = Array.from(validate.array(logTags, 'logTags'), (tag, index) => {
      if (typeof tag !== 'string') {
        throw validate.wrong(`logTags[${index}]`, tag, 'a string');
      }
      return /** @type {import('..').WorkerLogTag} */ (tag);
    });
  }
  return parsed;
}

/**
 * @param {Record<string, any>} settings
 * @param {string} name
 */
function port(settings, name) {
  return validate.optionalInteger(settings[name], name, validate.MAX_UINT16);
}

/**
 * @param {Record<string, any>} settings
 * @param {string} name
 */
function path(settings, name) {
  return validate.string(settings[name], name, undefined);
}

/**
 * @param {string} name
 * @param {string | undefined} file
 */
async function readPem(name, file) {
  if (file === undefined) {
    return undefined;
  }
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    throw new TypeError(`${name} '${file}' cannot be read`, { cause: error });
  }
}

exports.Worker = Worker;
