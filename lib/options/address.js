'use strict';

const { BlockList, SocketAddress, isIP, isIPv4, isIPv6 } = require('node:net');
const os = require('node:os');

const validate = require('./validate');

// Addresses and host names: which are valid where, and which this host has.

/**
 * At most this many of the host's addresses are announced for one socket, so that signalling stays short where
 * container networks add dozens.
 */
const MAX_HOST_ADDRESSES = 16;
const MAX_NAME_LENGTH = 253;
/** RFC 1123 §2.1. The last label is not numeric, so a mistyped IPv4 address is not a name. A final dot is allowed. */
const HOST_NAME =
  /^(?:[a-z\d](?:[a-z\d-]{0,61}[a-z\d])?\.)*(?!\d+\.?$)[a-z\d](?:[a-z\d-]{0,61}[a-z\d])?\.?$/i;

const UNSPECIFIED = new BlockList();
/** Addresses that are not those of one host. */
const SEVERAL_HOSTS = new BlockList();
const LINK_LOCAL = new BlockList();

UNSPECIFIED.addAddress('0.0.0.0');
UNSPECIFIED.addAddress('::', 'ipv6');
SEVERAL_HOSTS.addAddress('255.255.255.255');
SEVERAL_HOSTS.addSubnet('224.0.0.0', 4);
SEVERAL_HOSTS.addSubnet('ff00::', 8, 'ipv6');
LINK_LOCAL.addSubnet('169.254.0.0', 16);
LINK_LOCAL.addSubnet('fe80::', 10, 'ipv6');

/** The prefix of an IPv4-mapped IPv6 address (RFC 4291 §2.5.5.2). */
const MAPPED = '::ffff:';

/**
 * The canonical spelling of an address, so that addresses compare as text. An IPv4-mapped IPv6 address becomes an IPv4
 * address.
 *
 * @param {string} ip - without a zone.
 * @returns {string}
 */
function canonical(ip) {
  if (isIPv4(ip)) {
    return ip;
  }

  const { address } = new SocketAddress({ address: ip, family: 'ipv6' });
  const rest = address.startsWith(MAPPED) ? address.slice(MAPPED.length) : '';

  return isIPv4(rest) ? rest : address;
}

/**
 * An address to bind.
 *
 * @param {unknown} value
 * @param {string} name
 * @returns {string} in its canonical spelling.
 */
function localIp(value, name) {
  return canonical(validate.ip(value, name));
}

/**
 * @param {BlockList} list
 * @param {string} ip
 */
function isIn(list, ip) {
  return list.check(ip, isIPv6(ip) ? 'ipv6' : 'ipv4');
}

/**
 * Whether a socket that is bound to this address, however it is written, listens on all addresses of the host.
 *
 * @param {string} ip
 */
function isUnspecified(ip) {
  return isIn(UNSPECIFIED, ip);
}

/**
 * An address to send to: that of one host. To most other addresses the kernel refuses to send, and no datagrams come
 * from them. Link-local IPv6 addresses are unreachable without a zone.
 *
 * @param {unknown} value
 * @param {string} name
 * @returns {string} in its canonical spelling.
 */
function peerIp(value, name) {
  const ip = canonical(validate.ip(value, name));

  if (isUnspecified(ip) || isIn(SEVERAL_HOSTS, ip) || (isIPv6(ip) && isIn(LINK_LOCAL, ip))) {
    throw validate.wrong(
      name,
      value,
      'an address of one host (not unspecified, broadcast or multicast), and not link-local IPv6',
    );
  }
  return ip;
}

/**
 * An address or host name that peers are to use.
 *
 * @param {unknown} value
 * @param {string} name
 * @returns {string | undefined} undefined if not given, or empty: an environment variable without a value.
 */
function announcedAddress(value, name) {
  const address = validate.string(value, name, undefined) || undefined;

  if (
    address !== undefined &&
    !(isIP(address) === 0 ? isHostName(address) : isOfOneHost(address))
  ) {
    throw validate.wrong(name, address, 'an address that peers can reach, or a host name');
  }
  return address;
}

/**
 * The announced addresses, without other spellings of earlier ones.
 *
 * @param {string[]} addresses
 * @returns {string[]}
 */
function distinct(addresses) {
  /** @type {Map<string, string>} */
  const bySpelling = new Map();

  for (const each of addresses) {
    const spelling = isIP(each) === 0 ? each.toLowerCase() : canonical(each);

    bySpelling.set(spelling, bySpelling.get(spelling) ?? each);
  }
  return [...bySpelling.values()];
}

/** @param {string} name */
function isHostName(name) {
  return name.length <= MAX_NAME_LENGTH && HOST_NAME.test(name);
}

/** @param {string} ip */
function isOfOneHost(ip) {
  return !ip.includes('%') && !isUnspecified(ip) && !isIn(SEVERAL_HOSTS, ip);
}

/**
 * The addresses by which peers reach a socket: the one that it is bound to or, of a socket on all addresses, those of
 * the host's interfaces. Loopback and link-local IPv4 addresses are among them only if the host has no others, and
 * link-local IPv6 addresses never: they are of no use without a zone.
 *
 * @param {string} ip - the address that the socket is bound to.
 * @param {boolean} ipv6Only
 * @param {string} name - the name of the option with `ip`.
 * @returns {string[]} at least one.
 */
function hostAddresses(ip, ipv6Only, name) {
  if (!isUnspecified(ip)) {
    return [ip];
  }

  const families = isIP(ip) === 4 ? ['IPv4'] : ipv6Only ? ['IPv6'] : ['IPv6', 'IPv4'];
  const all = families.flatMap(addressesOfFamily);
  const best = all.filter(({ internal, address }) => !internal && !isIn(LINK_LOCAL, address));
  const found = (best.length > 0 ? best : all).slice(0, MAX_HOST_ADDRESSES);

  if (found.length === 0) {
    throw new TypeError(
      `${name} is '${ip}', and this host has no address for peers to use: give an announcedAddress`,
    );
  }
  return found.map(({ address }) => address);
}

/** @param {string} family */
function addressesOfFamily(family) {
  return Object.values(os.networkInterfaces())
    .flatMap((addresses) => addresses ?? [])
    .filter((it) => it.family === family && !(family === 'IPv6' && isIn(LINK_LOCAL, it.address)));
}

module.exports = { isUnspecified, localIp, peerIp, announcedAddress, distinct, hostAddresses };
