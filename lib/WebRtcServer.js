'use strict';

const { Entity, coreOf, emitOnObserver } = require('./Entity');
const { Table } = require('./Table');

/** @import { AppData, WebRtcServer as Contract } from '..' */
/** @import { WebRtcServer as Native } from '../native/binding' */
/** @typedef {import('./WebRtcTransport').WebRtcTransport<any>} WebRtcTransport */

/** @type {(webRtcServer: WebRtcServer<any>, webRtcTransport: WebRtcTransport) => void} */
let addWebRtcTransport;
/** @type {(webRtcServer: WebRtcServer<any>, webRtcTransport: WebRtcTransport) => void} */
let emitHandled;

/**
 * @template {AppData} [A=AppData]
 * @extends {Entity<import('..').WebRtcServerEvents, import('..').WebRtcServerObserverEvents, A>}
 * @implements {Contract<A>}
 */
class WebRtcServer extends Entity {
  #core;
  #id;
  /**
   * The transports that use the server, by handle, and whether 'webrtctransporthandled' was emitted for each.
   *
   * @type {Table<number, { webRtcTransport: WebRtcTransport, emitted: boolean }>}
   */
  #webRtcTransports = new Table();

  static {
    addWebRtcTransport = (webRtcServer, webRtcTransport) => webRtcServer.#add(webRtcTransport);
    emitHandled = (webRtcServer, webRtcTransport) => webRtcServer.#emitHandled(webRtcTransport);
  }

  /**
   * @param {import('./Core').Core<Native>} core
   * @param {import('./answers').CreatedAnswer} data
   * @param {A} appData
   */
  constructor(core, data, appData) {
    super(core, appData, { onEvent: (name) => core.onUnknownEvent(name) });
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
  #add(webRtcTransport) {
    const core = coreOf(webRtcTransport);

    this.#webRtcTransports.set(core.handle, { webRtcTransport, emitted: false });
    core.onClosing((event) => {
      const handled = this.#webRtcTransports.take(core.handle);

      // As in mediasoup, the server does not emit this if the router of the transport closes it.
      if (handled?.emitted && event === undefined) {
        emitOnObserver(this, 'webrtctransportunhandled', webRtcTransport);
      }
    });
  }

  /** @param {WebRtcTransport} webRtcTransport */
  #emitHandled(webRtcTransport) {
    const handled = this.#webRtcTransports.get(coreOf(webRtcTransport).handle);

    // A listener of 'newtransport' may have closed the transport, which removes it from the table.
    if (handled) {
      handled.emitted = true;
      emitOnObserver(this, 'webrtctransporthandled', webRtcTransport);
    }
  }

  #closeWebRtcTransports() {
    for (const { webRtcTransport } of this.#webRtcTransports.values()) {
      const core = coreOf(webRtcTransport);
      const handled = this.#webRtcTransports.take(core.handle);

      core.close('listenserverclose');
      if (handled?.emitted) {
        emitOnObserver(this, 'webrtctransportunhandled', webRtcTransport);
      }
    }
  }
}

exports.WebRtcServer = WebRtcServer;
/** Closes the WebRtcTransport along with the server from now on. */
exports.addWebRtcTransport = addWebRtcTransport;
/** Emits 'webrtctransporthandled', unless the WebRtcTransport is closed. */
exports.emitHandled = emitHandled;
