'use strict';

const { Logger } = require('../Logger');
const { mediaUnsupported } = require('../errors');
const address = require('./address');
const { parseDtlsParameters } = require('./dtls');
const { parseLimit } = require('./limit');
const { parseUdpListenInfo } = require('./listenInfo');
const { parseMessageSizes, parseSctpOverUdpOptions } = require('./sctp');
const validate = require('./validate');

// The options of PlainTransport, PipeTransport and DirectTransport; those of WebRtcTransport are in webRtc.js.

const logger = new Logger('Transport');

/** @typedef {import('./listenInfo').ListenInfo} ListenInfo */
/** @typedef {import('./limit').LimitOptions} LimitOptions */
/** @typedef {import('./sctp').SctpOptions} SctpOptions */
/** @typedef {'maxIncomingBitrate' | 'maxOutgoingBitrate' | 'minOutgoingBitrate'} Bitrate */
/** @typedef {Partial<Record<Bitrate, number>>} Bitrates - Rust's `Bitrates`; a bitrate without limit is left out. */

/**
 * @param {Record<string, any>} given
 * @returns {{ listenInfo: ListenInfo, comedia: boolean, sctp?: SctpOptions, limit?: LimitOptions }} Rust's
 * `PlainTransportOptions`.
 */
function parsePlainTransportOptions(given) {
  const listenInfo = parseUdpListenInfo(given);
  const comedia = validate.boolean(given.comedia, 'comedia', false);
  const sctp = parseSctpOverUdpOptions(given);
  const limit = parseLimit(given.limit);

  checkSrtp(given, sctp);
  return { listenInfo, comedia, sctp, limit };
}

/**
 * @param {Record<string, any>} given
 * @returns {{ listenInfo: ListenInfo, enableDtls: boolean, sctp: SctpOptions | undefined }} Rust's `PipeTransportOptions`.
 */
function parsePipeTransportOptions(given) {
  const listenInfo = parseUdpListenInfo(given);
  const enableDtls = validate.boolean(given.enableDtls, 'enableDtls', false);
  const sctp = parseSctpOverUdpOptions(given);

  checkSrtp(given, sctp);
  return { listenInfo, enableDtls, sctp };
}

/**
 * @param {Record<string, any>} given
 * @returns {{ maxSendMessageSize: number, maxReceiveMessageSize: number }} Rust's `DirectTransportOptions`, in bytes.
 */
function parseDirectTransportOptions(given) {
  return parseMessageSizes(given, 'maxMessageSize');
}

/**
 * @param {Record<string, any>} given - the parameters of `connect()`.
 * @param {boolean} carriesData - whether SCTP is enabled.
 * @param {boolean} encrypts - whether DTLS is enabled.
 * @returns {{ ip: string, port: number, dtlsParameters?: import('../..').DtlsParameters }} Rust's `UdpConnectOptions`.
 */
function parseUdpConnectOptions(given, carriesData, encrypts) {
  checkSrtpParameters(given, carriesData);

  const { dtlsParameters } = given;

  if (!encrypts && validate.given(dtlsParameters)) {
    // Otherwise an application could believe that the transport encrypts.
    throw new TypeError(
      `dtlsParameters needs createPipeTransport({ enableDtls: true }) ${validate.got(dtlsParameters)}`,
    );
  }
  return {
    ip: address.peerIp(given.ip, 'ip'),
    port: validate.port(given.port, 'port', 1),
    dtlsParameters: encrypts ? parseDtlsParameters(dtlsParameters) : undefined,
  };
}

/**
 * Returns the limits with one of them set.
 *
 * @param {Bitrates} bitrates - the limits in force.
 * @param {Bitrate} name
 * @param {unknown} value - in bits per second; 0 is no limit.
 * @returns {Bitrates}
 */
function parseBitrates(bitrates, name, value) {
  const parsed = { ...bitrates, [name]: validate.integer(value, name) || undefined };
  const { minOutgoingBitrate: min = 0, maxOutgoingBitrate: max = Infinity } = parsed;

  if (min > max) {
    throw new TypeError(`minOutgoingBitrate (${min}) cannot be above maxOutgoingBitrate (${max})`);
  }
  return parsed;
}

/** @param {unknown} types - have no effect, because traces are about media. */
function checkTraceEventTypes(types) {
  if (validate.given(types)) {
    validate.strings(types, 'types');
  }
}

/**
 * @param {Record<string, any>} given
 * @param {SctpOptions | undefined} sctp - undefined if SCTP is not enabled.
 */
function checkSrtp({ enableSrtp }, sctp) {
  if (validate.boolean(enableSrtp, 'enableSrtp', false)) {
    ignoreSrtp('enableSrtp', sctp !== undefined);
  }
}

/**
 * @param {Record<string, any>} given - the parameters of `connect()`.
 * @param {boolean} carriesData - whether SCTP is enabled.
 */
function checkSrtpParameters({ srtpParameters }, carriesData) {
  if (validate.given(srtpParameters)) {
    ignoreSrtp('srtpParameters', carriesData);
  }
}

/**
 * SRTP protects media only, so a transport for data works without it. A transport for neither would be useless.
 *
 * @param {string} option
 * @param {boolean} carriesData
 */
function ignoreSrtp(option, carriesData) {
  if (!carriesData) {
    throw mediaUnsupported(option);
  }
  logger.warnOnce(`${option} is ignored: SRTP is for media, it does not encrypt data`);
}

module.exports = {
  parsePlainTransportOptions,
  parsePipeTransportOptions,
  parseDirectTransportOptions,
  parseUdpConnectOptions,
  parseBitrates,
  checkTraceEventTypes,
  checkSrtp,
  checkSrtpParameters,
};
