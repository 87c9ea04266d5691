'use strict';

const { Entity, coreOf } = require('./Entity');
const { Logger } = require('./Logger');

/** @import { AppData, WebRtcServer as Contract } from '..' */
/** @import { WebRtcServer as Native } from '../native/binding' */
/** @typedef {import('./WebRtcTransport').WebRtcTransport<any>} WebRtcTransport */

const logger = new Logger('WebRtcServer');

/** @type {(webRtcServer: WebRtcServer<any>, webRtcTransport: WebRtcTransport) => void} */
let handleWebRtcTransport;
/** @type {(webRtcServer: WebRtcServer<any>, webRtcTransport: WebRtcTransport) => void} */
let tellWebRtcTransport;

/**
 * @template {AppData} [A=AppData]
 * @extends {Entity<import('..').WebRtcServerEvents, import('..').WebRtcServerObserverEvents, A>}
 * @implements {Contract<A>}
 */
class WebRtcServer extends Entity {
  #core;
  #id;
  /**
   * Those on its port, and whether the observer has been told.
   *
   * @type {Map<WebRtcTransport, boolean>}
   */
  #webRtcTransports = new Map();

  static {
    handleWebRtcTransport = (webRtcServer, webRtcTransport) =>
      webRtcServer.#handle(webRtcTransport);
    tellWebRtcTransport = (webRtcServer, webRtcTransport) => webRtcServer.#tell(webRtcTransport);
  }

  /**
   * @param {import('./Core').Core<Native>} core
   * @param {{ id: string }} data
   * @param {A} appData
   */
  constructor(core, data, appData) {
    super(core, appData, { onEvent: (name) => logger.error(`unknown event '${name}'`) });
    this.#core = core;
    this.#id = data.id;
    core.onClosing(() => this.#closeWebRtcTransports());
  }

  get id() {
    return this.#id;
  }

  async dump() {
    return this.#core.request('webRtcServer.dump', (native, id) => native.dump(id));
  }

  /** @param {WebRtcTransport} webRtcTransport */
  #handle(webRtcTransport) {
    this.#webRtcTransports.set(webRtcTransport, false);
    coreOf(webRtcTransport).onClosing((event) => {
      const told = this.#forget(webRtcTransport);

      // Not if its router closes it: as in mediasoup.
      if (told && event === undefined) {
        this.observer.safeEmit('webrtctransportunhandled', webRtcTransport);
      }
    });
  }

  /** @param {WebRtcTransport} webRtcTransport */
  #tell(webRtcTransport) {
    // A listener may have closed it meanwhile.
    if (this.#webRtcTransports.has(webRtcTransport)) {
      this.#webRtcTransports.set(webRtcTransport, true);
      this.observer.safeEmit('webrtctransporthandled', webRtcTransport);
    }
  }

  /**
   * @param {WebRtcTransport} webRtcTransport
   * @returns {boolean} whether the observer has been told of it.
   */
  #forget(webRtcTransport) {
    const told = this.#webRtcTransports.get(webRtcTransport) ?? false;

    this.#webRtcTransports.delete(webRtcTransport);
    return told;
  }

  #closeWebRtcTransports() {
    for (const webRtcTransport of this.#webRtcTransports.keys()) {
      const told = this.#forget(webRtcTransport);

      coreOf(webRtcTransport).close('listenserverclose');
      if (told) {
        this.observer.safeEmit('webrtctransportunhandled', webRtcTransport);
      }
    }
  }
}

exports.WebRtcServer = WebRtcServer;
/** A WebRtcTransport is on its port from now on… */
exports.handleWebRtcTransport = handleWebRtcTransport;
/** …and the observer is told, unless it is closed by then. */
exports.tellWebRtcTransport = tellWebRtcTransport;
