'use strict';

const { Entity, coreOf, tellObserver } = require('./Entity');
const { Logger } = require('./Logger');
const { Table } = require('./Table');

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
   * Those on its port, by their handles, and whether the observer has been told.
   *
   * @type {Table<number, { webRtcTransport: WebRtcTransport, told: boolean }>}
   */
  #webRtcTransports = new Table();

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
    const core = coreOf(webRtcTransport);

    this.#webRtcTransports.set(core.handle, { webRtcTransport, told: false });
    core.onClosing((event) => {
      const handled = this.#webRtcTransports.take(core.handle);

      // Not if its router closes it: as in mediasoup.
      if (handled?.told && event === undefined) {
        tellObserver(this, 'webrtctransportunhandled', webRtcTransport);
      }
    });
  }

  /** @param {WebRtcTransport} webRtcTransport */
  #tell(webRtcTransport) {
    const handled = this.#webRtcTransports.get(coreOf(webRtcTransport).handle);

    // A listener may have closed it meanwhile.
    if (handled) {
      handled.told = true;
      tellObserver(this, 'webrtctransporthandled', webRtcTransport);
    }
  }

  #closeWebRtcTransports() {
    for (const { webRtcTransport } of this.#webRtcTransports.values()) {
      const core = coreOf(webRtcTransport);
      const handled = this.#webRtcTransports.take(core.handle);

      core.close('listenserverclose');
      if (handled?.told) {
        tellObserver(this, 'webrtctransportunhandled', webRtcTransport);
      }
    }
  }
}

exports.WebRtcServer = WebRtcServer;
/** A WebRtcTransport is on its port from now on… */
exports.handleWebRtcTransport = handleWebRtcTransport;
/** …and the observer is told, unless it is closed by then. */
exports.tellWebRtcTransport = tellWebRtcTransport;
