'use strict';

const { emitSafely } = require('./EnhancedEventEmitter');
const { Transport, emitBoth } = require('./Transport');
const { copy } = require('./copy');

/** @import { AppData } from '..' */
/** @import { Transport as Native } from '../native/binding' */

/**
 * @typedef {import('./Transport').TransportData & { sctpParameters?: import('..').SctpParameters }} SctpTransportData
 * `sctpParameters` is undefined if SCTP is not enabled.
 */

/**
 * The base of transports with SCTP: WebRtcTransport and UdpTransport.
 *
 * @template {import('..').TransportEvents} E
 * @template {import('..').TransportObserverEvents} O
 * @template {AppData} A
 * @extends {Transport<E, O, A>}
 */
class SctpTransport extends Transport {
  #sctpParameters;
  /** @type {import('..').SctpState | undefined} */
  #sctpState;
  /** @type {import('..').SctpError | undefined} */
  #sctpError;
  /** @type {import('..').SctpNegotiatedCapabilities | undefined} */
  #sctpNegotiatedCapabilities;

  /**
   * @param {import('./Core').Core<Native>} core
   * @param {import('..').TransportType} type
   * @param {SctpTransportData} data
   * @param {A} appData
   * @param {(name: string, args: any[]) => void} onEvent - receives all other events.
   */
  constructor(core, type, data, appData, onEvent) {
    super(core, type, data, appData, (name, args) => {
      if (name === 'sctpstatechange') {
        this.#onSctpStateChange(args[0], args[1], args[2]);
      } else if (name === 'limit') {
        emitSafely(this, 'limit', [args[0]]);
      } else {
        onEvent(name, args);
      }
    });
    this.#sctpParameters = data.sctpParameters;
    this.#sctpState = data.sctpParameters && 'new';
    core.onClosing(() => {
      // The state changes without an event, because a closed transport emits only its close.
      this.#sctpState &&= 'closed';
    });
  }

  get sctpParameters() {
    return copy(this.#sctpParameters);
  }

  get sctpState() {
    return this.#sctpState;
  }

  get sctpError() {
    return copy(this.#sctpError);
  }

  get sctpNegotiatedCapabilities() {
    return copy(this.#sctpNegotiatedCapabilities);
  }

  /**
   * @param {import('..').SctpState} state
   * @param {import('..').SctpNegotiatedCapabilities | null} [negotiatedCapabilities] - given with the state 'connected'.
   * @param {import('..').SctpError | null} [error] - given with the last state.
   */
  #onSctpStateChange(state, negotiatedCapabilities, error) {
    this.#sctpState = state;
    this.#sctpError = error ?? undefined;
    this.#sctpNegotiatedCapabilities = negotiatedCapabilities ?? this.#sctpNegotiatedCapabilities;
    emitBoth(this, 'sctpstatechange', state, this.#sctpError);
  }
}

exports.SctpTransport = SctpTransport;
