'use strict';

const { isEntity } = require('../Entity');
const { Logger } = require('../Logger');
const { parseDtlsParameters } = require('./dtls');
const { parseLimit } = require('./limit');
const { parseWebRtcListenInfos } = require('./listenInfo');
const { parseSctpOptions } = require('./sctp');
const validate = require('./validate');

/** The default of `iceConsentTimeout`, in seconds. */
const ICE_CONSENT_TIMEOUT = 30;
/** In seconds. With a shorter timeout, a few lost STUN requests would disconnect a client. */
const MIN_ICE_CONSENT_TIMEOUT = 10;
/** In seconds. With a longer timeout, clients that have disappeared would be kept. */
const MAX_ICE_CONSENT_TIMEOUT = 60;

const logger = new Logger('Router');

/** @typedef {import('../WebRtcServer').WebRtcServer<any>} WebRtcServer */

/**
 * @typedef {object} WebRtcTransportOptions - Rust's `WebRtcTransportOptions`.
 * @property {import('./listenInfo').ListenInfo[]} [listenInfos] - undefined if the transport uses a WebRtcServer.
 * @property {boolean} enableUdp
 * @property {boolean} enableTcp
 * @property {boolean} preferUdp
 * @property {boolean} preferTcp
 * @property {number} iceConsentTimeout - in seconds: 0 for never, or 10 to 60.
 * @property {import('./sctp').SctpOptions} [sctp] - undefined if SCTP is not enabled.
 * @property {import('./limit').LimitOptions} [limit]
 */

/**
 * @param {Record<string, any>} given
 * @returns {WebRtcServer | undefined}
 */
function parseWebRtcServer({ webRtcServer }) {
  if (!validate.given(webRtcServer)) {
    return undefined;
  }
  if (!isEntity(webRtcServer, 'webRtcServer')) {
    throw validate.wrongEntity('webRtcServer', webRtcServer, 'a WebRtcServer');
  }
  return /** @type {WebRtcServer} */ (webRtcServer);
}

/**
 * @param {Record<string, any>} given
 * @param {boolean} onServer - whether the transport listens on a WebRtcServer.
 * @returns {WebRtcTransportOptions}
 */
function parseWebRtcTransportOptions(given, onServer) {
  const enableUdp = validate.boolean(given.enableUdp, 'enableUdp', true);
  const enableTcp = validate.boolean(given.enableTcp, 'enableTcp', onServer);
  const preferUdp = validate.boolean(given.preferUdp, 'preferUdp', false);
  const preferTcp = validate.boolean(given.preferTcp, 'preferTcp', false);
  const sctp = parseSctpOptions(given);

  if (onServer && (validate.given(given.listenInfos) || validate.given(given.listenIps))) {
    logger.warnOnce('webRtcServer is given: listenInfos and listenIps are ignored');
  }
  return {
    listenInfos: onServer
      ? undefined
      : parseWebRtcListenInfos(
          given,
          protocolsInOrder({ enableUdp, enableTcp, tcpFirst: preferTcp && !preferUdp }),
        ),
    enableUdp,
    enableTcp,
    preferUdp,
    preferTcp,
    iceConsentTimeout: parseIceConsentTimeout(given.iceConsentTimeout),
    sctp,
    limit: parseLimit(given.limit),
  };
}

/**
 * @param {Record<string, any>} given - the parameters of `connect()`.
 * @returns {{ dtlsParameters: Required<import('../..').DtlsParameters> }} Rust's `WebRtcConnectOptions`.
 */
function parseWebRtcConnectOptions({ dtlsParameters }) {
  return { dtlsParameters: parseDtlsParameters(dtlsParameters) };
}

/**
 * @param {{ enableUdp: boolean, enableTcp: boolean, tcpFirst: boolean }} options
 * @returns {import('./listenInfo').Protocol[]}
 */
function protocolsInOrder({ enableUdp, enableTcp, tcpFirst }) {
  /** @type {import('./listenInfo').Protocol[]} */
  const protocols = tcpFirst ? ['tcp', 'udp'] : ['udp', 'tcp'];

  return protocols.filter((protocol) => (protocol === 'udp' ? enableUdp : enableTcp));
}

/**
 * @param {unknown} value
 * @returns {number} in seconds.
 */
function parseIceConsentTimeout(value) {
  const seconds =
    validate.optionalInteger(value, 'iceConsentTimeout', validate.MAX_UINT16) ??
    ICE_CONSENT_TIMEOUT;

  if (seconds === 0) {
    return 0;
  }

  const clamped = Math.min(Math.max(seconds, MIN_ICE_CONSENT_TIMEOUT), MAX_ICE_CONSENT_TIMEOUT);

  if (clamped !== seconds) {
    logger.warnOnce(`iceConsentTimeout is clamped from ${seconds} to ${clamped} seconds`);
  }
  return clamped;
}

module.exports = { parseWebRtcServer, parseWebRtcTransportOptions, parseWebRtcConnectOptions };
