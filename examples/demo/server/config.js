'use strict';

// The configuration, from environment variables, and the addresses that follow from it.

const net = require('node:net');
const os = require('node:os');

const WILDCARDS = new Set(['0.0.0.0', '::']);
const LOOPBACKS = new Set(['127.0.0.1', '::1', 'localhost']);

/**
 * PORT (default 3000; 0 picks a free one), HOST (127.0.0.1), ANNOUNCED_ADDRESS (none), RTC_PORT (the UDP port; default:
 * PORT).
 */
function readConfig(env) {
  const port = readPort('PORT', env.PORT, 3000);

  return {
    port,
    rtcPort: readPort('RTC_PORT', env.RTC_PORT, port),
    host: env.HOST || '127.0.0.1',
    announcedAddress: env.ANNOUNCED_ADDRESS || undefined,
  };
}

function readPort(name, text, fallback) {
  if (!text) return fallback;

  const port = Number(text);
  if (!Number.isInteger(port) || port < 0 || port > 65535) {
    throw new Error(`${name} must be a number from 0 to 65535, not "${text}"`);
  }

  return port;
}

/** The addresses on which the WebRtcServer listens: { ip, announcedAddress? }[]. */
function addressesFor({ host, announcedAddress }) {
  if (announcedAddress) return [{ ip: net.isIP(host) ? host : '0.0.0.0', announcedAddress }];

  // A browser cannot send to a wildcard address, so list every interface instead. On loopback too, because Firefox
  // gathers no loopback candidates and connects through an interface. The ICE password is available on HOST only.
  if (WILDCARDS.has(host) || LOOPBACKS.has(host)) {
    return ['127.0.0.1', ...networkAddresses()].map((ip) => ({ ip }));
  }

  return [{ ip: host }];
}

/** The URLs to print: for this machine, and for others in the network. */
function urlsFor({ host }, port) {
  const url = (name) => `http://${net.isIPv6(name) ? `[${name}]` : name}:${port}`;

  if (WILDCARDS.has(host)) return { local: url('localhost'), network: networkAddresses().map(url) };

  return { local: url(host), network: [] };
}

function networkAddresses() {
  return Object.values(os.networkInterfaces())
    .flat()
    .filter(({ family, internal }) => family === 'IPv4' && !internal)
    .map(({ address }) => address);
}

module.exports = { addressesFor, readConfig, urlsFor };
