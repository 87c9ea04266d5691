'use strict';

const { UdpTransport, dtlsOf } = require('./UdpTransport');

/** @import { AppData, PipeTransport as Contract } from '..' */
/** @import { Transport as Native } from '../native/binding' */

/**
 * @template {AppData} [A=AppData]
 * @extends {UdpTransport<import('..').PipeTransportEvents, import('..').PipeTransportObserverEvents, A>}
 * @implements {Contract<A>}
 */
class PipeTransport extends UdpTransport {
  /**
   * @param {import('./Core').Core<Native>} core
   * @param {import('./UdpTransport').UdpTransportData} data
   * @param {A} appData
   * @param {import('..').DtlsFingerprint[]} [dtlsFingerprints] - of the worker, if the transport encrypts.
   */
  constructor(core, data, appData, dtlsFingerprints) {
    super(core, 'pipe', data, appData, dtlsFingerprints);
  }

  /** @type {'pipe'} */
  get type() {
    return 'pipe';
  }

  get dtlsParameters() {
    return dtlsOf(this)?.parameters;
  }

  get dtlsState() {
    return dtlsOf(this)?.state;
  }

  get dtlsError() {
    return dtlsOf(this)?.error;
  }

  get dtlsRemoteCert() {
    return dtlsOf(this)?.remoteCert;
  }
}

exports.PipeTransport = PipeTransport;
