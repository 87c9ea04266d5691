'use strict';

const { DirectTransport } = require('./DirectTransport');
const { Entity, coreOf, emitOnObserver } = require('./Entity');
const { PipeTransport } = require('./PipeTransport');
const { PlainTransport } = require('./PlainTransport');
const { addWebRtcTransport, emitHandled } = require('./WebRtcServer');
const { WebRtcTransport } = require('./WebRtcTransport');
const { mediaUnsupported, wrongWebRtcServer } = require('./errors');
const { dataProducerNotFound, tableOf } = require('./dataProducers');
const { pipeDataProducer } = require('./pipe');
const { emptyRtpCapabilities, checkMediaCodecs } = require('./media');
const { parsePipeToRouterOptions } = require('./options/pipeToRouter');
const {
  parseDirectTransportOptions,
  parsePipeTransportOptions,
  parsePlainTransportOptions,
} = require('./options/transport');
const validate = require('./options/validate');
const { parseWebRtcServer, parseWebRtcTransportOptions } = require('./options/webRtc');

/** @import { AppData, Router as Contract } from '..' */
/** @import { Router as Native, Transport as NativeTransport } from '../native/binding' */

/**
 * @template {AppData} [A=AppData]
 * @extends {Entity<import('..').RouterEvents, import('..').RouterObserverEvents, A>}
 * @implements {Contract<A>}
 */
class Router extends Entity {
  #core;
  #id;
  #dataProducers;
  #dtlsFingerprints;

  /**
   * @param {import('./Core').Core<Native>} core
   * @param {import('./answers').CreatedAnswer} data
   * @param {import('..').DtlsFingerprint[]} dtlsFingerprints - of the worker.
   * @param {A} appData
   */
  constructor(core, data, dtlsFingerprints, appData) {
    super(core, appData, { onEvent: (name) => core.onUnknownEvent(name) });
    this.#core = core;
    this.#id = data.id;
    this.#dataProducers = tableOf(core, data.id);
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
    const { given, appData } = validate.options(options);
    const webRtcServer = parseWebRtcServer(given);
    const parsed = parseWebRtcTransportOptions(given, webRtcServer !== undefined);
    const nativeServer = webRtcServer && coreOf(webRtcServer).native;

    this.#core.check(method);
    if (webRtcServer) {
      this.#checkWebRtcServer(webRtcServer);
    }

    return this.#createTransport(
      method,
      (native, id) => native.createWebRtcTransport(id, JSON.stringify(parsed), nativeServer),
      parsed.sctp,
      (core, data) => {
        if (webRtcServer?.closed) {
          core.closeNative();
          throw wrongWebRtcServer('is closed');
        }

        const transport = new WebRtcTransport(core, data, this.#dtlsFingerprints, appData);

        if (webRtcServer) {
          addWebRtcTransport(webRtcServer, transport);
        }
        return transport;
      },
      (transport) => webRtcServer && emitHandled(webRtcServer, transport),
    );
  }

  /**
   * @template {AppData} [T=AppData]
   * @param {import('..').PlainTransportOptions<T>} options
   * @returns {Promise<PlainTransport<T>>}
   */
  async createPlainTransport(options) {
    const { given, appData } = validate.options(options);
    const parsed = parsePlainTransportOptions(given);

    return this.#createTransport(
      'router.createPlainTransport',
      (native, id) => native.createPlainTransport(id, JSON.stringify(parsed)),
      parsed.sctp,
      (core, data) => new PlainTransport(core, data, parsed.comedia, appData),
    );
  }

  /**
   * @template {AppData} [T=AppData]
   * @param {import('..').PipeTransportOptions<T>} options
   * @returns {Promise<PipeTransport<T>>}
   */
  async createPipeTransport(options) {
    const { given, appData } = validate.options(options);

    return this.#createPipeTransport(parsePipeTransportOptions(given), appData);
  }

  /**
   * @template {AppData} [T=AppData]
   * @param {import('..').DirectTransportOptions<T>} [options]
   * @returns {Promise<DirectTransport<T>>}
   */
  async createDirectTransport(options) {
    const { given, appData } = validate.options(options);
    const parsed = parseDirectTransportOptions(given);

    return this.#createTransport(
      'router.createDirectTransport',
      (native, id) => native.createDirectTransport(id, JSON.stringify(parsed)),
      parsed,
      (core, data) => new DirectTransport(core, data, appData),
    );
  }

  /**
   * @param {import('..').PipeToRouterOptions} options
   * @returns {Promise<import('..').PipeToRouterResult>}
   */
  async pipeToRouter(options) {
    const method = 'router.pipeToRouter';
    const given = validate.object(options, 'options');
    const parsed = parsePipeToRouterOptions(given, this);
    const { dataProducerId, router, keepId, transport } = parsed;

    this.#core.check(method);

    // UUIDs are case-insensitive; the worker writes ids in lower case.
    const dataProducer = this.#dataProducers.get(dataProducerId.toLowerCase());

    if (!dataProducer) {
      throw dataProducerNotFound(dataProducerId, 'call its pipeToRouter()');
    }
    coreOf(router).check(method);
    if (keepId && coreOf(router).channel === this.#core.channel) {
      throw new Error(
        'set keepId to false to pipe within one Worker ' +
          `(Channel request handler with ID ${dataProducer.id} already exists)`,
      );
    }
    return pipeDataProducer({
      dataProducer,
      from: this,
      to: router,
      keepId,
      overflow: parsed.overflow,
      maxBufferedAmount: parsed.maxBufferedAmount,
      ip: transport.listenInfo.ip,
      createPipeTransport: (end) => end.#createPipeTransport(transport),
    });
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

  /** @param {import('./WebRtcServer').WebRtcServer<any>} webRtcServer */
  #checkWebRtcServer(webRtcServer) {
    if (webRtcServer.closed) {
      throw wrongWebRtcServer('is closed');
    }
    if (coreOf(webRtcServer).channel !== this.#core.channel) {
      throw wrongWebRtcServer('belongs to another Worker');
    }
  }

  /**
   * @param {ReturnType<typeof parsePipeTransportOptions>} parsed
   * @param {any} [appData]
   * @returns {Promise<PipeTransport<any>>}
   */
  #createPipeTransport(parsed, appData) {
    return this.#createTransport(
      'router.createPipeTransport',
      (native, id) => native.createPipeTransport(id, JSON.stringify(parsed)),
      parsed.sctp,
      (core, data) =>
        new PipeTransport(
          core,
          data,
          appData,
          parsed.enableDtls ? this.#dtlsFingerprints : undefined,
        ),
    );
  }

  /**
   * @template {import('./Transport').Transport<any, any, any>} T
   * @param {string} method
   * @param {(native: Native, requestId: number) => NativeTransport} call
   * @param {{ maxReceiveMessageSize: number } | undefined} sizes - undefined if the transport carries no messages.
   * @param {(core: import('./Core').Core<NativeTransport>, data: any) => T} make
   * @param {(transport: T) => void} [made] - called after 'newtransport'.
   * @returns {Promise<T>}
   */
  #createTransport(method, call, sizes, make, made) {
    return this.#core.create(method, 'transport', call, (core, answer) => {
      // The answer itself is extended, because a copy of it by `...` would be slower.
      const data = Object.assign(answer, {
        routerId: this.#id,
        maxReceiveMessageSize: sizes?.maxReceiveMessageSize,
        dataProducers: this.#dataProducers,
      });
      const transport = make(core, data);

      emitOnObserver(this, 'newtransport', transport);
      made?.(transport);
      return transport;
    });
  }
}

exports.Router = Router;
