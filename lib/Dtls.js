'use strict';

const { emitBoth } = require('./Transport');
const { copy } = require('./copy');

/** The DTLS session of a transport, as the application sees it. */
class Dtls {
  #transport;
  /** Shared by all transports of the worker. */
  #fingerprints;
  /** @type {import('..').DtlsRole} */
  #role = 'auto';
  /** @type {import('..').DtlsState} */
  #state = 'new';
  /** @type {import('..').DtlsError | undefined} */
  #error;
  /** @type {string | undefined} */
  #remoteCert;

  /**
   * @param {import('./Transport').Transport<any, any, any>} transport
   * @param {import('./Core').Core<any>} core - of the transport.
   * @param {import('..').DtlsFingerprint[]} fingerprints - of the worker.
   */
  constructor(transport, core, fingerprints) {
    this.#transport = transport;
    this.#fingerprints = fingerprints;
    // The state changes without an event, because a closed transport emits only its close.
    core.onClosing(() => {
      this.#state = 'closed';
    });
  }

  get parameters() {
    return { fingerprints: copy(this.#fingerprints), role: this.#role };
  }

  get state() {
    return this.#state;
  }

  get error() {
    return copy(this.#error);
  }

  get remoteCert() {
    return this.#remoteCert;
  }

  /** @param {import('..').DtlsRole} role - of this side, once `connect()` has decided on it. */
  setRole(role) {
    this.#role = role;
  }

  /**
   * @param {import('..').DtlsState} state
   * @param {string | null} [remoteCert] - given with the state 'connected'.
   * @param {import('..').DtlsError | null} [error] - given with the last state.
   */
  onStateChange(state, remoteCert, error) {
    this.#state = state;
    this.#remoteCert = remoteCert ?? this.#remoteCert;
    this.#error = error ?? undefined;
    emitBoth(this.#transport, 'dtlsstatechange', state, this.#error);
  }
}

exports.Dtls = Dtls;
