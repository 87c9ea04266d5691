'use strict';

const { DirectTransport } = require('./DirectTransport');
const { Entity, coreOf, tellObserver } = require('./Entity');
const { Logger } = require('./Logger');
const { PipeTransport } = require('./PipeTransport');
const { PlainTransport } = require('./PlainTransport');
const { Table } = require('./Table');
const { WebRtcServer, handleWebRtcTransport, tellWebRtcTransport } = require('./WebRtcServer');
const { WebRtcTransport } = require('./WebRtcTransport');
const { NotFoundError, mediaUnsupported } = require('./errors');
const { parseUdpListenInfo, parseWebRtcListenInfos } = require('./listenInfo');
const { pipeDataProducer } = require('./pipe');
const { emptyRtpCapabilities, checkMediaCodecs } = require('./media');
const { parseMessageSizes, parseSctpOptions } = require('./sctpOptions');
const validate = require('./validate');

/** @import { AppData, Router as Contract } from '..' */
/** @import { Router as Native } from '../native/binding' */

/** In seconds. */
const ICE_CONSENT_TIMEOUT = 30;
const MIN_ICE_CONSENT_TIMEOUT = 10;
const MAX_ICE_CONSENT_TIMEOUT = 60;

const logger = new Logger('Router');

/**
 * @template {AppData} [A=AppData]
 * @extends {Entity<import('..').RouterEvents, import('..').RouterObserverEvents, A>}
 * @implements {Contract<A>}
 */
class Router extends Entity {
  #core;
  #id;
  /** @type {Table<string, import('./DataProducer').DataProducer<any>>} */
  #dataProducers = new Table();
  #dtlsFingerprints;

  /**
   * @param {import('./Core').Core<Native>} core
   * @param {{ id: string }} data
   * @param {import('..').DtlsFingerprint[]} dtlsFingerprints - of the worker.
   * @param {A} appData
   */
  constructor(core, data, dtlsFingerprints, appData) {
    super(core, appData, { onEvent: (name) => logger.error(`unknown event '${name}'`) });
    this.#core = core;
    this.#id = data.id;
    this.#dtlsFingerprints = dtlsFingerprints;
  }

  get id() {
    return this.#id;
  }

  get rtpCapabilities() {
    return emptyRtpCapabilities();
  }

  async dump() {
    return this.#core.request('router.dump', (native, id) => native.dump(id));
  }

  /**
   * @template {AppData} [T=AppData]
   * @param {import('..').WebRtcTransportOptions<T>} options
   * @returns {Promise<WebRtcTransport<T>>}
   */
  async createWebRtcTransport(options) {
    const method = 'router.createWebRtcTransport';

    this.#core.check(method);

    const given = validate.object(options, 'options');
    const appData = validate.appData(given.appData);
    const webRtcServer = parseWebRtcServer(given, this.#core.channel);
    const enableUdp = validate.boolean(given.enableUdp, true);
    const enableTcp = validate.boolean(given.enableTcp, webRtcServer !== undefined);
    const preferUdp = validate.boolean(given.preferUdp, false);
    const preferTcp = validate.boolean(given.preferTcp, false);
    const sctp = parseSctpOptions(given);
    const data = {
      listenInfos: webRtcServer
        ? undefined
        : parseWebRtcListenInfos(
            given,
            protocolsInOrder({ enableUdp, enableTcp, tcpFirst: preferTcp && !preferUdp }),
          ),
      enableUdp,
      enableTcp,
      preferUdp,
      preferTcp,
      iceConsentTimeout: parseIceConsentTimeout(given.iceConsentTimeout),
      sctp,
    };

    return this.#core.create(
      method,
      'transport',
      (native, requestId) =>
        native.createWebRtcTransport(
          requestId,
          JSON.stringify(data),
          webRtcServer && coreOf(webRtcServer).native,
        ),
      (core, result) => {
        if (webRtcServer?.closed) {
          core.closeNative();
          throw noWebRtcServer();
        }

        const transport = new WebRtcTransport(
          core,
          this.#transportData(result, sctp),
          this.#dtlsFingerprints,
          appData,
        );

        if (webRtcServer) {
          handleWebRtcTransport(webRtcServer, transport);
        }
        tellObserver(this, 'newtransport', transport);
        if (webRtcServer) {
          tellWebRtcTransport(webRtcServer, transport);
        }
        return transport;
      },
    );
  }

  /**
   * @template {AppData} [T=AppData]
   * @param {import('..').PlainTransportOptions<T>} options
   * @returns {Promise<PlainTransport<T>>}
   */
  async createPlainTransport(options) {
    const method = 'router.createPlainTransport';

    this.#core.check(method);

    const given = validate.object(options, 'options');
    const appData = validate.appData(given.appData);
    const listenInfo = parseUdpListenInfo(given);
    const comedia = validate.boolean(given.comedia, false);
    const sctp = parseSctpOptions(given);

    checkSrtp(given);

    return this.#core.create(
      method,
      'transport',
      (native, requestId) =>
        native.createPlainTransport(requestId, JSON.stringify({ listenInfo, comedia, sctp })),
      (core, result) => {
        const data = Object.assign(this.#transportData(result, sctp), { comedia });
        const transport = new PlainTransport(core, data, appData);

        tellObserver(this, 'newtransport', transport);
        return transport;
      },
    );
  }

  /**
   * @template {AppData} [T=AppData]
   * @param {import('..').PipeTransportOptions<T>} options
   * @returns {Promise<PipeTransport<T>>}
   */
  async createPipeTransport(options) {
    const method = 'router.createPipeTransport';

    this.#core.check(method);

    const given = validate.object(options, 'options');
    const appData = validate.appData(given.appData);
    const listenInfo = parseUdpListenInfo(given);
    const sctp = parseSctpOptions(given);

    checkSrtp(given);

    return this.#core.create(
      method,
      'transport',
      (native, requestId) =>
        native.createPipeTransport(requestId, JSON.stringify({ listenInfo, sctp })),
      (core, result) => {
        const transport = new PipeTransport(core, this.#transportData(result, sctp), appData);

        tellObserver(this, 'newtransport', transport);
        return transport;
      },
    );
  }

  /**
   * @template {AppData} [T=AppData]
   * @param {import('..').DirectTransportOptions<T>} [options]
   * @returns {Promise<DirectTransport<T>>}
   */
  async createDirectTransport(options) {
    const method = 'router.createDirectTransport';

    this.#core.check(method);

    const given = validate.object(options, 'options');
    const appData = validate.appData(given.appData);
    const sizes = parseMessageSizes(given, 'maxMessageSize');

    return this.#core.create(
      method,
      'transport',
      (native, requestId) => native.createDirectTransport(requestId, JSON.stringify(sizes)),
      (core, result) => {
        const transport = new DirectTransport(core, this.#transportData(result, sizes), appData);

        tellObserver(this, 'newtransport', transport);
        return transport;
      },
    );
  }

  /**
   * @param {import('..').PipeToRouterOptions} options
   * @returns {Promise<import('..').PipeToRouterResult>}
   */
  async pipeToRouter(options) {
    this.#core.check('router.pipeToRouter');

    const given = validate.object(options, 'options');
    const { dataProducerId, router } = this.#parsePipeTarget(given);
    const { listenInfo, listenIp } = given;
    const anywhere = !validate.given(listenInfo) && !validate.given(listenIp);
    const transportOptions = {
      ...given,
      listenInfo: parseUdpListenInfo(
        anywhere ? { listenIp: '127.0.0.1' } : { listenInfo, listenIp },
      ),
      listenIp: undefined,
      enableSctp: validate.boolean(given.enableSctp, true),
      appData: undefined,
    };
    const keepId = validate.boolean(given.keepId, true);

    parseSctpOptions(transportOptions);
    checkSrtp(given);

    // UUIDs are the same in either case; the worker writes them in lower.
    const dataProducer = this.#dataProducers.get(dataProducerId.toLowerCase());

    if (!dataProducer) {
      throw new NotFoundError('DataProducer not found');
    }
    if (keepId && coreOf(router).channel === this.#core.channel) {
      throw new Error(
        `Channel request handler with ID ${dataProducer.id} already exists: ` +
          'within one Worker keepId must be false',
      );
    }
    return pipeDataProducer({ dataProducer, from: this, to: router, keepId, transportOptions });
  }

  /** @returns {Promise<never>} */
  async createActiveSpeakerObserver() {
    this.#core.check('router.createActiveSpeakerObserver');
    throw mediaUnsupported('router.createActiveSpeakerObserver()');
  }

  /** @returns {Promise<never>} */
  async createAudioLevelObserver() {
    this.#core.check('router.createAudioLevelObserver');
    throw mediaUnsupported('router.createAudioLevelObserver()');
  }

  canConsume() {
    return false;
  }

  /** @param {import('..').RouterRtpCodecCapability[]} mediaCodecs */
  updateMediaCodecs(mediaCodecs) {
    checkMediaCodecs(mediaCodecs, 'router.updateMediaCodecs()');
  }

  /**
   * @param {any} result - the worker's answer, to which the rest is added: a copy by `...` costs more than it shows.
   * @param {{ maxReceiveMessageSize: number } | undefined} sizes
   */
  #transportData(result, sizes) {
    return Object.assign(result, {
      sctp: sizes !== undefined,
      maxReceiveMessageSize: sizes?.maxReceiveMessageSize ?? 0,
      dataProducers: this.#dataProducers,
    });
  }

  /**
   * @param {Record<string, any>} options
   * @returns {{ dataProducerId: string, router: Router<any> }}
   */
  #parsePipeTarget(options) {
    const producerId = validate.string(options.producerId, 'producerId', undefined);
    const dataProducerId = validate.string(options.dataProducerId, 'dataProducerId', undefined);
    const { router } = options;

    if (!producerId && !dataProducerId) {
      throw new TypeError('missing producerId or dataProducerId');
    }
    if (producerId && dataProducerId) {
      throw new TypeError('producerId and dataProducerId cannot both be given');
    }
    if (!validate.given(router)) {
      throw new TypeError('missing router');
    }
    if (!(router instanceof Router)) {
      throw validate.wrong('router', router, 'a Router');
    }
    if (/** @type {unknown} */ (router) === this) {
      throw new TypeError('cannot use this Router as destination');
    }
    if (!dataProducerId) {
      throw mediaUnsupported('producerId');
    }
    return { dataProducerId, router };
  }
}

/**
 * @param {Record<string, any>} options
 * @param {import('./Channel').Channel} channel - of the worker that the server must belong to.
 * @returns {WebRtcServer<any> | undefined}
 */
function parseWebRtcServer({ webRtcServer, listenInfos, listenIps }, channel) {
  if (!validate.given(webRtcServer)) {
    return undefined;
  }
  if (!(webRtcServer instanceof WebRtcServer)) {
    throw validate.wrong('webRtcServer', webRtcServer, 'a WebRtcServer');
  }
  if (webRtcServer.closed || coreOf(webRtcServer).channel !== channel) {
    throw noWebRtcServer();
  }
  if (validate.given(listenInfos) || validate.given(listenIps)) {
    logger.warn('webRtcServer is given: listenInfos and listenIps are ignored');
  }
  return webRtcServer;
}

/**
 * @param {{ enableUdp: boolean, enableTcp: boolean, tcpFirst: boolean }} options
 * @returns {('udp' | 'tcp')[]}
 */
function protocolsInOrder({ enableUdp, enableTcp, tcpFirst }) {
  /** @type {('udp' | 'tcp')[]} */
  const protocols = tcpFirst ? ['tcp', 'udp'] : ['udp', 'tcp'];

  return protocols.filter((protocol) => (protocol === 'udp' ? enableUdp : enableTcp));
}

/** @param {Record<string, any>} options */
function checkSrtp({ enableSrtp }) {
  if (validate.boolean(enableSrtp, false)) {
    throw mediaUnsupported('enableSrtp');
  }
}

/**
 * @param {unknown} value
 * @returns {number} 0 for never, else at least so long that a lost request ends nothing, and at most so long that the
 * dead are not kept.
 */
function parseIceConsentTimeout(value) {
  const seconds =
    validate.optionalInteger(value, 'iceConsentTimeout', validate.MAX_UINT16) ??
    ICE_CONSENT_TIMEOUT;
  const clamped =
    seconds && Math.min(Math.max(seconds, MIN_ICE_CONSENT_TIMEOUT), MAX_ICE_CONSENT_TIMEOUT);

  if (clamped !== seconds) {
    logger.warn(`iceConsentTimeout is clamped from ${seconds} to ${clamped} seconds`);
  }
  return clamped;
}

function noWebRtcServer() {
  return new Error('wrong webRtcServerId (no associated WebRtcServer found)');
}

exports.Router = Router;
