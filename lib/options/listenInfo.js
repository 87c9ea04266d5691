'use strict';

const { Logger } = require('../Logger');
const address = require('./address');
const validate = require('./validate');

const logger = new Logger('listenInfo');

/**
 * The receive buffer of a UDP socket, in bytes. The system grants at most `net.core.rmem_max` (Linux: 208 KiB by
 * default) and doubles it for its own overhead. The system's default holds 280 small datagrams. One burst, or a few
 * milliseconds without the processor, overflows that for every client of the port. This size holds 5,400 datagrams.
 */
const UDP_RECV_BUFFER_SIZE = 2 * 1024 * 1024;

/** @typedef {'udp' | 'tcp'} Protocol */

/**
 * @typedef {object} ListenInfo - Rust's `ListenInfo`. Without `port` and `portRange`, the worker takes a port of
 * its own range.
 * @property {Protocol} protocol
 * @property {string} ip - in its canonical spelling.
 * @property {string[]} announcedAddresses - as the application gives them, in its order; may be empty.
 * @property {string[]} internalAddresses - those of this host to announce as well; the only ones if
 * `announcedAddresses` is empty.
 * @property {number} [port] - not 0, and not given together with `portRange`.
 * @property {{ min: number, max: number }} [portRange]
 * @property {{ ipv6Only: boolean, udpReusePort: boolean }} flags
 * @property {number} [sendBufferSize] - in bytes, not 0.
 * @property {number} [recvBufferSize] - in bytes, not 0.
 */

/**
 * The options of a socket by their names in `listenInfos`.
 *
 * @type {Record<string, (info: ListenInfo) => boolean | number | undefined>}
 */
const SOCKET_OPTIONS = {
  'flags.ipv6Only': ({ flags }) => flags.ipv6Only,
  'flags.udpReusePort': ({ flags }) => flags.udpReusePort,
  sendBufferSize: ({ sendBufferSize }) => sendBufferSize,
  recvBufferSize: ({ recvBufferSize }) => recvBufferSize,
};

/**
 * @param {unknown} value
 * @param {string} name
 * @returns {ListenInfo}
 */
function parseListenInfo(value, name) {
  const given = validate.object(value, name);
  const protocol = validate.oneOf(given.protocol, `${name}.protocol`, ['udp', 'tcp']);
  const ip = address.localIp(given.ip, `${name}.ip`);
  const flags = parseFlags(given.flags, `${name}.flags`);

  return {
    protocol,
    ip,
    ...parseAddresses(given, ip, flags, name),
    ...(validate.given(given.portRange)
      ? { portRange: parsePortRange(given.portRange, `${name}.portRange`) }
      : { port: parsePort(given.port, `${name}.port`) }),
    flags,
    sendBufferSize: parseBufferSize(given, 'sendBufferSize', name),
    recvBufferSize: parseBufferSize(given, 'recvBufferSize', name) ?? recvBufferSize(protocol),
  };
}

/**
 * @param {unknown} value
 * @returns {ListenInfo[]} at least one.
 */
function parseListenInfos(value) {
  const infos = validate.array(value, 'listenInfos');

  if (infos.length === 0) {
    throw validate.wrong('listenInfos', value, 'an array with at least one entry');
  }
  return shareSockets(
    Array.from(infos, (info, index) => parseListenInfo(info, `listenInfos[${index}]`)),
  );
}

/**
 * Merges entries that name the same port: they share one socket, which has the addresses of all.
 *
 * @param {ListenInfo[]} infos
 * @returns {ListenInfo[]}
 */
function shareSockets(infos) {
  /** @type {ListenInfo[]} */
  const shared = [];

  infos.forEach((info, index) => {
    const firstIndex = infos.findIndex((other) => other === info || isSameSocket(other, info));
    const first = infos[firstIndex];

    if (first === info) {
      shared.push(info);
      return;
    }
    checkSameOptions(info, `listenInfos[${index}]`, first, `listenInfos[${firstIndex}]`);
    first.announcedAddresses = address.distinct([
      ...first.announcedAddresses,
      ...info.announcedAddresses,
    ]);
    first.internalAddresses = address.distinct([
      ...first.internalAddresses,
      ...info.internalAddresses,
    ]);
  });
  return shared;
}

/**
 * @param {ListenInfo} one
 * @param {ListenInfo} other
 */
function isSameSocket(one, other) {
  return (
    one.port !== undefined &&
    one.port === other.port &&
    one.ip === other.ip &&
    one.protocol === other.protocol
  );
}

/**
 * One socket cannot have two values of an option.
 *
 * @param {ListenInfo} info
 * @param {string} name
 * @param {ListenInfo} first - with which `info` shares a socket.
 * @param {string} firstName
 */
function checkSameOptions(info, name, first, firstName) {
  for (const [option, valueOf] of Object.entries(SOCKET_OPTIONS)) {
    const value = valueOf(info);
    const expected = valueOf(first);

    if (value !== expected) {
      throw validate.wrong(
        `${name}.${option}`,
        value,
        `${expected ?? 'omitted'}, as in ${firstName}, which has the same protocol, ip and port`,
      );
    }
  }
}

/**
 * Parses where a PlainTransport or PipeTransport listens: `listenInfo`, or the older `listenIp` and `port`.
 *
 * @param {Record<string, any>} options
 * @returns {ListenInfo} for UDP.
 */
function parseUdpListenInfo(options) {
  const { listenInfo, listenIp, port } = options;

  if (validate.given(listenInfo) && validate.given(listenIp)) {
    throw new TypeError(
      `listenInfo and listenIp cannot both be given: use listenInfo ${validate.got(listenInfo, listenIp)}`,
    );
  }
  if (validate.given(listenIp)) {
    return parseListenIp(listenIp, 'listenIp', 'udp', port);
  }
  if (!validate.given(listenInfo)) {
    throw validate.missing('listenInfo or listenIp', options);
  }

  const info = parseListenInfo(listenInfo, 'listenInfo');

  if (info.protocol !== 'udp') {
    throw validate.wrong('listenInfo.protocol', info.protocol, "'udp'");
  }
  return info;
}

/**
 * Parses where a WebRtcTransport without WebRtcServer listens: the older `listenIps` and `port`, or `listenInfos`.
 *
 * @param {Record<string, any>} options
 * @param {Protocol[]} protocols - the protocols to listen with on each of `listenIps`.
 * @returns {ListenInfo[]}
 */
function parseWebRtcListenInfos(options, protocols) {
  const { listenIps, listenInfos, port } = options;

  if (!validate.given(listenIps)) {
    if (!validate.given(listenInfos)) {
      throw validate.missing('webRtcServer, listenInfos or listenIps', options);
    }
    return parseListenInfos(listenInfos);
  }
  if (validate.given(listenInfos)) {
    logger.warnOnce('listenIps and listenInfos are both given: listenInfos are ignored');
  }

  const ips = validate.array(listenIps, 'listenIps');

  if (ips.length === 0) {
    throw validate.wrong('listenIps', listenIps, 'an array with at least one entry');
  }
  return shareSockets(
    Array.from(ips, (listenIp, index) =>
      protocols.map((protocol) => parseListenIp(listenIp, `listenIps[${index}]`, protocol, port)),
    ).flat(),
  );
}

/**
 * @param {unknown} value - an address, or an object with the address in `ip`.
 * @param {string} name
 * @param {Protocol} protocol
 * @param {unknown} port
 * @returns {ListenInfo}
 */
function parseListenIp(value, name, protocol, port) {
  const given = typeof value === 'string' ? { ip: value } : validate.object(value, name);
  const ip = address.localIp(given.ip, typeof value === 'string' ? name : `${name}.ip`);
  const flags = parseFlags(undefined, 'flags');

  return {
    protocol,
    ip,
    ...parseAddresses({ ...given, exposeInternalIp: false }, ip, flags, name),
    port: parsePort(port, 'port'),
    flags,
    recvBufferSize: recvBufferSize(protocol),
  };
}

/**
 * Parses the addresses of a socket that are announced to peers.
 *
 * @param {Record<string, any>} given
 * @param {string} ip - the address that the socket is bound to.
 * @param {ListenInfo['flags']} flags
 * @param {string} name
 * @returns {Pick<ListenInfo, 'announcedAddresses' | 'internalAddresses'>}
 */
function parseAddresses(given, ip, { ipv6Only }, name) {
  const older = address.announcedAddress(given.announcedIp, `${name}.announcedIp`);
  const announced =
    address.announcedAddress(given.announcedAddress, `${name}.announcedAddress`) ?? older;
  const exposed =
    validate.boolean(given.exposeInternalIp, `${name}.exposeInternalIp`, false) ||
    announced === undefined;

  return {
    announcedAddresses: announced === undefined ? [] : [announced],
    internalAddresses: exposed ? address.hostAddresses(ip, ipv6Only, `${name}.ip`) : [],
  };
}

/**
 * @param {unknown} value
 * @param {string} name
 * @returns {number | undefined} undefined for a port of the Worker's range.
 */
function parsePort(value, name) {
  return validate.optionalPort(value, name) || undefined;
}

/**
 * @param {unknown} value
 * @param {string} name
 * @returns {{ min: number, max: number } | undefined} undefined for the Worker's range.
 */
function parsePortRange(value, name) {
  const given = validate.object(value, name);
  const min = validate.port(given.min, `${name}.min`);
  const max = validate.port(given.max, `${name}.max`, min);

  // There is no port 0: the system takes it for any port, of the range or not.
  return max === 0 ? undefined : { min: Math.max(min, 1), max };
}

/**
 * @param {unknown} value
 * @param {string} name
 */
function parseFlags(value, name) {
  const { ipv6Only, udpReusePort } = validate.object(value, name);

  return {
    ipv6Only: validate.boolean(ipv6Only, `${name}.ipv6Only`, false),
    udpReusePort: validate.boolean(udpReusePort, `${name}.udpReusePort`, false),
  };
}

/**
 * @param {Record<string, any>} given
 * @param {'sendBufferSize' | 'recvBufferSize'} option
 * @param {string} name
 * @returns {number | undefined} undefined for the default.
 */
function parseBufferSize(given, option, name) {
  return validate.optionalInteger(given[option], `${name}.${option}`) || undefined;
}

/**
 * @param {Protocol} protocol
 * @returns {number | undefined} undefined for the size that the system chooses.
 */
function recvBufferSize(protocol) {
  return protocol === 'udp' ? UDP_RECV_BUFFER_SIZE : undefined;
}

module.exports = { parseListenInfos, parseUdpListenInfo, parseWebRtcListenInfos };
