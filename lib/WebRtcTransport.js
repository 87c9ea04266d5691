'use strict';

const { Logger } = require('./Logger');
const { SctpAssociation } = require('./SctpAssociation');
const { Transport, emitBoth } = require('./Transport');
const { copy } = require('./copy');
const { parseDtlsParameters } = require('./dtlsParameters');
const validate = require('./validate');

/** @import { AppData, WebRtcTransport as Contract } from '..' */
/** @import { Transport as Native } from '../native/binding' */

const logger = new Logger('WebRtcTransport');

/**
 * @template {AppData} [A=AppData]
 * @extends {Transport<import('..').WebRtcTransportEvents, import('..').WebRtcTransportObserverEvents, A>}
 * @implements {Contract<A>}
 */
class WebRtcTransport extends Transport {
  #core;
  #iceParameters;
  #iceCandidates;
  /** @type {import('..').IceState} */
  #iceState = 'new';
  /** @type {import('..').TransportTuple | undefined} */
  #iceSelectedTuple;
  /** Shared by all transports of the worker. */
  #dtlsFingerprints;
  /** @type {import('..').DtlsRole} */
  #dtlsRole = 'auto';
  /** @type {import('..').DtlsState} */
  #dtlsState = 'new';
  /** @type {string | undefined} */
  #dtlsRemoteCert;
  #sctp;

  /**
   * @param {import('./Core').Core<Native>} core
   * @param {import('./Transport').TransportData & {
   *   iceParameters: import('..').IceParameters,
   *   iceCandidates: import('..').IceCandidate[],
   *   sctpParameters?: import('..').SctpParameters,
   * }} data
   * @param {import('..').DtlsFingerprint[]} dtlsFingerprints - of the worker.
   * @param {A} appData
   */
  constructor(core, data, dtlsFingerprints, appData) {
    super(core, 'webrtc', data, appData, (name, args) => this.#onEvent(name, args));
    this.#core = core;
    this.#iceParameters = data.iceParameters;
    this.#iceCandidates = data.iceCandidates;
    this.#dtlsFingerprints = dtlsFingerprints;
    this.#sctp = new SctpAssociation(data.sctpParameters);
    core.onClosing(() => this.#onClosing());
  }

  /** @type {'webrtc'} */
  get type() {
    return 'webrtc';
  }

  /** @type {'controlled'} */
  get iceRole() {
    return 'controlled';
  }

  get iceParameters() {
    return copy(this.#iceParameters);
  }

  get iceCandidates() {
    return copy(this.#iceCandidates);
  }

  get iceState() {
    return this.#iceState;
  }

  get iceSelectedTuple() {
    return copy(this.#iceSelectedTuple);
  }

  get dtlsParameters() {
    return { fingerprints: copy(this.#dtlsFingerprints), role: this.#dtlsRole };
  }

  get dtlsState() {
    return this.#dtlsState;
  }

  get dtlsRemoteCert() {
    return this.#dtlsRemoteCert;
  }

  get sctpParameters() {
    return this.#sctp.parameters;
  }

  get sctpState() {
    return this.#sctp.state;
  }

  get sctpNegotiatedCapabilities() {
    return this.#sctp.negotiatedCapabilities;
  }

  /** @param {{ dtlsParameters: import('..').DtlsParameters }} params */
  async connect(params) {
    const method = 'webRtcTransport.connect';

    this.#core.check(method);

    const dtlsParameters = parseDtlsParameters(validate.object(params, 'params').dtlsParameters);
    const { dtlsLocalRole } = await this.#core.request(method, (native, id) =>
      native.connect(id, JSON.stringify({ dtlsParameters })),
    );

    this.#dtlsRole = dtlsLocalRole;
  }

  async restartIce() {
    this.#iceParameters = await this.#core.request('transport.restartIce', (native, id) =>
      native.restartIce(id),
    );
    return this.iceParameters;
  }

  /** What is closed says so, without events. */
  #onClosing() {
    this.#iceState = 'closed';
    this.#iceSelectedTuple = undefined;
    this.#dtlsState = 'closed';
    this.#sctp.close();
  }

  /**
   * @param {string} name
   * @param {any[]} args
   */
  #onEvent(name, args) {
    switch (name) {
      case 'icestatechange':
        // What lay between two equal ones may have been left out while JavaScript was busy. (The other states only go
        // forward.)
        if (this.#iceState !== args[0]) {
          this.#iceState = args[0];
          emitBoth(this, 'icestatechange', args[0]);
        }
        break;
      case 'iceselectedtuplechange':
        this.#iceSelectedTuple = args[0];
        emitBoth(this, 'iceselectedtuplechange', args[0]);
        break;
      case 'dtlsstatechange':
        this.#dtlsState = args[0];
        this.#dtlsRemoteCert = args[1] ?? this.#dtlsRemoteCert;
        emitBoth(this, 'dtlsstatechange', args[0]);
        break;
      case 'sctpstatechange':
        this.#sctp.change(args[0], args[1]);
        emitBoth(this, 'sctpstatechange', args[0]);
        break;
      default:
        logger.error(`unknown event '${name}'`);
    }
  }
}

exports.WebRtcTransport = WebRtcTransport;
