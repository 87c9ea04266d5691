'use strict';

const { copy } = require('./copy');

/** What a transport with SCTP knows of its association. */
class SctpAssociation {
  #parameters;
  /** @type {import('..').SctpState | undefined} */
  #state;
  /** @type {import('..').SctpNegotiatedCapabilities | undefined} */
  #negotiatedCapabilities;

  /** @param {import('..').SctpParameters} [parameters] - undefined: SCTP is not enabled. */
  constructor(parameters) {
    this.#parameters = parameters;
    this.#state = parameters && 'new';
  }

  get parameters() {
    return copy(this.#parameters);
  }

  get state() {
    return this.#state;
  }

  get negotiatedCapabilities() {
    return copy(this.#negotiatedCapabilities);
  }

  /**
   * Follows 'sctpstatechange'.
   *
   * @param {import('..').SctpState} state
   * @param {import('..').SctpNegotiatedCapabilities} [negotiatedCapabilities] - with 'connected'.
   */
  change(state, negotiatedCapabilities) {
    this.#state = state;
    this.#negotiatedCapabilities = negotiatedCapabilities ?? this.#negotiatedCapabilities;
  }

  /** Its transport is closed. */
  close() {
    this.#state &&= 'closed';
  }
}

exports.SctpAssociation = SctpAssociation;
