'use strict';

const { Entity, coreOf } = require('./Entity');
const { Logger } = require('./Logger');

/** @import { AppData, WebRtcServer as Contract } from '..' */
/** @import { WebRtcServer as Native } from '../native/binding' */
/** @typedef {import('./WebRtcTransport').WebRtcTransport<any>} WebRtcTransport */

const logger = new Logger('WebRtcServer');

/** @type {(webRtcServer: WebRtcServer<any>, webRtcTransport: WebRtcTransport) => void} */
let handleWebRtcTransport;

/**
 * @template {AppData} [A=AppData]
 * @extends {Entity<import('..').WebRtcServerEvents, import('..').WebRtcServerObserverEvents, A>}
 * @implements {Contract<A>}
 */
class WebRtcServer extends Entity {
  #core;
  #id;
  /** @type {Set<WebRtcTransport>} */
  #webRtcTransports = new Set();

  static {
    handleWebRtcTransport = (webRtcServer, webRtcTransport) =>
      webRtcServer.#handle(webRtcTransport);
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
    if (webRtcTransport.closed) {
      return;
    }
    this.#webRtcTransports.add(webRtcTransport);
    coreOf(webRtcTransport).onClosing((event) => {
      const handled = this.#webRtcTransports.delete(webRtcTransport);

      // Not if its router closes it: as in mediasoup.
      if (handled && event === undefined) {
        this.observer.safeEmit('webrtctransportunhandled', webRtcTransport);
      }
    });
    this.observer.safeEmit('webrtctransporthandled', webRtcTransport);
  }

  #closeWebRtcTransports() {
    for (const webRtcTransport of [...this.#webRtcTransports]) {
      if (this.#webRtcTransports.delete(webRtcTransport)) {
        coreOf(webRtcTransport).close('listenserverclose');
        this.observer.safeEmit('webrtctransportunhandled', webRtcTransport);
      }
    }
  }
}

exports.WebRtcServer = WebRtcServer;
exports.handleWebRtcTransport = handleWebRtcTransport;
