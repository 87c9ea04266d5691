'use strict';

const { Logger } = require('./Logger');
const validate = require('./validate');

const logger = new Logger('listenInfo');

/** @typedef {import('..').TransportListenInfo} TransportListenInfo */

/**
 * @param {unknown} value
 * @param {string} name
 * @returns {TransportListenInfo} with the newer names only.
 */
function parseListenInfo(value, name) {
  const info = validate.object(value, name);
  const protocol = validate.oneOf(info.protocol, `${name}.protocol`, ['udp', 'tcp']);
  const ranged = validate.given(info.portRange);

  if (protocol === undefined) {
    throw validate.wrong(`${name}.protocol`, info.protocol, "'udp' or 'tcp'");
  }
  return {
    protocol,
    ip: validate.ip(info.ip, `${name}.ip`),
    announcedAddress: announcedAddress(info, name),
    exposeInternalIp: validate.boolean(info.exposeInternalIp, undefined),
    port: ranged
      ? undefined
      : validate.optionalInteger(info.port, `${name}.port`, validate.MAX_UINT16),
    portRange: ranged ? parsePortRange(info.portRange, `${name}.portRange`) : undefined,
    flags: parseFlags(info.flags, `${name}.flags`),
    sendBufferSize: validate.optionalInteger(info.sendBufferSize, `${name}.sendBufferSize`),
    recvBufferSize: validate.optionalInteger(info.recvBufferSize, `${name}.recvBufferSize`),
  };
}

/**
 * @param {unknown} value - an array of at least one.
 * @returns {TransportListenInfo[]}
 */
function parseListenInfos(value) {
  const infos = validate.array(value, 'listenInfos');

  if (infos.length === 0) {
    throw validate.wrong('listenInfos', value, 'an array of at least one');
  }
  return Array.from(infos, (info, index) => parseListenInfo(info, `listenInfos[${index}]`));
}

/**
 * Where a plain or pipe transport listens: `listenInfo`, or the older `listenIp` and `port`.
 *
 * @param {Record<string, any>} options
 * @returns {TransportListenInfo} for UDP.
 */
function parseUdpListenInfo({ listenInfo, listenIp, port }) {
  if (validate.given(listenInfo) === validate.given(listenIp)) {
    throw new TypeError(
      validate.given(listenInfo)
        ? 'listenInfo and listenIp cannot both be given'
        : 'missing listenInfo or listenIp',
    );
  }

  const info = validate.given(listenInfo)
    ? parseListenInfo(listenInfo, 'listenInfo')
    : parseListenIp(listenIp, 'listenIp', 'udp', port);

  if (info.protocol !== 'udp') {
    throw validate.wrong('listenInfo.protocol', info.protocol, "'udp'");
  }
  return info;
}

/**
 * Where a WebRtcTransport without WebRtcServer listens: the older `listenIps` and `port`, or `listenInfos`.
 *
 * @param {Record<string, any>} options
 * @param {('udp' | 'tcp')[]} protocols - what to listen on for each of `listenIps`.
 * @returns {TransportListenInfo[]}
 */
function parseWebRtcListenInfos({ listenIps, listenInfos, port }, protocols) {
  if (!validate.given(listenIps)) {
    if (!validate.given(listenInfos)) {
      throw new TypeError('missing webRtcServer, listenInfos or listenIps');
    }
    return parseListenInfos(listenInfos);
  }
  if (validate.given(listenInfos)) {
    logger.warn('listenIps and listenInfos are given: listenInfos are ignored');
  }

  const infos = Array.from(validate.array(listenIps, 'listenIps'), (listenIp, index) =>
    protocols.map((protocol) => parseListenIp(listenIp, `listenIps[${index}]`, protocol, port)),
  ).flat();

  if (infos.length === 0) {
    throw new TypeError(
      'there is nothing to listen on: listenIps are empty, or no protocol is enabled',
    );
  }
  return infos;
}

/**
 * @param {unknown} value - an address, or an object with one.
 * @param {string} name
 * @param {'udp' | 'tcp'} protocol
 * @param {unknown} port
 * @returns {TransportListenInfo}
 */
function parseListenIp(value, name, protocol, port) {
  const listenIp = typeof value === 'string' ? { ip: value } : validate.object(value, name);

  return {
    protocol,
    ip: validate.ip(listenIp.ip, typeof value === 'string' ? name : `${name}.ip`),
    announcedAddress: announcedAddress(listenIp, name),
    port: validate.optionalInteger(port, 'port', validate.MAX_UINT16),
  };
}

/**
 * @param {Record<string, any>} info
 * @param {string} name
 * @returns {string | undefined}
 */
function announcedAddress(info, name) {
  const older = validate.string(info.announcedIp, `${name}.announcedIp`, undefined);

  return validate.string(info.announcedAddress, `${name}.announcedAddress`, older) || undefined;
}

/**
 * @param {unknown} value
 * @param {string} name
 */
function parsePortRange(value, name) {
  const range = validate.object(value, name);
  const min = validate.integer(range.min, `${name}.min`, validate.MAX_UINT16);

  return { min, max: validate.integer(range.max, `${name}.max`, validate.MAX_UINT16, min) };
}

/**
 * @param {unknown} value
 * @param {string} name
 */
function parseFlags(value, name) {
  const { ipv6Only, udpReusePort } = validate.object(value, name);

  return {
    ipv6Only: validate.boolean(ipv6Only, undefined),
    udpReusePort: validate.boolean(udpReusePort, undefined),
  };
}

exports.parseListenInfos = parseListenInfos;
exports.parseUdpListenInfo = parseUdpListenInfo;
exports.parseWebRtcListenInfos = parseWebRtcListenInfos;
