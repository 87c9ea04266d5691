'use strict';

const { Dtls } = require('./Dtls');
const { SctpTransport } = require('./SctpTransport');
const { emitBoth } = require('./Transport');
const { copy } = require('./copy');
const { setLimit } = require('./limit');
const validate = require('./options/validate');
const { parseWebRtcConnectOptions } = require('./options/webRtc');

/** @import { AppData, WebRtcTransport as Contract } from '..' */
/** @import { Transport as Native } from '../native/binding' */

/**
 * @template {AppData} [A=AppData]
 * @extends {SctpTransport<import('..').WebRtcTransportEvents, import('..').WebRtcTransportObserverEvents, A>}
 * @implements {Contract<A>}
 */
class WebRtcTransport extends SctpTransport {
  #core;
  #iceParameters;
  #iceCandidates;
  /** @type {import('..').IceState} */
  #iceState = 'new';
  /** @type {import('..').IceError | undefined} */
  #iceError;
  /** @type {import('..').TransportTuple | undefined} */
  #iceSelectedTuple;
  #dtls;

  /**
   * @param {import('./Core').Core<Native>} core
   * @param {import('./Transport').TransportData & import('./answers').WebRtcTransportAnswer} data
   * @param {import('..').DtlsFingerprint[]} dtlsFingerprints - of the worker.
   * @param {A} appData
   */
  constructor(core, data, dtlsFingerprints, appData) {
    super(core, 'webrtc', data, appData, (name, args) => this.#onEvent(name, args));
    this.#core = core;
    this.#iceParameters = data.iceParameters;
    this.#iceCandidates = data.iceCandidates;
    this.#dtls = new Dtls(this, core, dtlsFingerprints);
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

  get iceError() {
    return copy(this.#iceError);
  }

  get iceSelectedTuple() {
    return copy(this.#iceSelectedTuple);
  }

  get dtlsParameters() {
    return this.#dtls.parameters;
  }

  get dtlsState() {
    return this.#dtls.state;
  }

  get dtlsError() {
    return this.#dtls.error;
  }

  get dtlsRemoteCert() {
    return this.#dtls.remoteCert;
  }

  /** @param {{ dtlsParameters: import('..').DtlsParameters }} params */
  async connect(params) {
    const parsed = parseWebRtcConnectOptions(validate.object(params, 'params'));
    /** @type {import('./answers').WebRtcConnectAnswer} */
    const answer = await this.#core.request('webRtcTransport.connect', (native, id) =>
      native.connect(id, JSON.stringify(parsed)),
    );

    this.#dtls.setRole(answer.dtlsLocalRole);
  }

  /** @param {import('..').LimitOptions | null} [limit] */
  async setLimit(limit) {
    await setLimit(this.#core, 'transport.setLimit', limit);
  }

  async restartIce() {
    this.#iceParameters = await this.#core.request('transport.restartIce', (native, id) =>
      native.restartIce(id),
    );
    return this.iceParameters;
  }

  /** Sets the last states without events, because a closed transport emits only its close. */
  #onClosing() {
    this.#iceState = 'closed';
    this.#iceSelectedTuple = undefined;
  }

  /**
   * @param {string} name
   * @param {any[]} args
   */
  #onEvent(name, args) {
    switch (name) {
      case 'icestatechange':
        // While JavaScript is busy, the worker keeps only the latest state, which may equal the one that was emitted
        // last. (DTLS and SCTP never return to an earlier state.)
        if (this.#iceState !== args[0]) {
          this.#iceState = args[0];
          this.#iceError = args[1] ?? undefined;
          emitBoth(this, 'icestatechange', this.#iceState, this.#iceError);
        }
        break;
      case 'iceselectedtuplechange':
        this.#iceSelectedTuple = args[0];
        emitBoth(this, 'iceselectedtuplechange', args[0]);
        break;
      case 'dtlsstatechange':
        this.#dtls.onStateChange(args[0], args[1], args[2]);
        break;
      case 'datachannel':
        emitBoth(this, 'datachannel', args[0]);
        break;
      default:
        this.#core.onUnknownEvent(name);
    }
  }
}

exports.WebRtcTransport = WebRtcTransport;
