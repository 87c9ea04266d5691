'use strict';

const { isIP } = require('node:net');
const { randomBytes } = require('node:crypto');

const { isEntity } = require('../Entity');
const { HOST } = require('../cluster/envelope');
const { MAX_TEXT } = require('../cluster/messages');
const { isUnspecified } = require('./address');
const { parseUdpListenInfo } = require('./listenInfo');
const validate = require('./validate');

/** The shortest secret, in bytes. */
const MIN_SECRET = 32;

/** The smallest `maxPayload` of a bus, in bytes: room for many of the longest entries of a list. */
const MIN_PAYLOAD = 64 * 1024;

/**
 * @typedef {object} ClusterOptions
 * @property {import('../cluster/types').Bus} bus
 * @property {Buffer[]} secrets - the first one seals.
 * @property {import('../..').TransportListenInfo} listenInfo
 * @property {string} host
 * @property {string} prefix
 * @property {number} lease - in milliseconds.
 * @property {number} linger - in milliseconds.
 * @property {'auto' | 'pipe' | 'bus'} carrier
 */

/**
 * @param {unknown} options
 * @returns {ClusterOptions}
 */
function parseClusterOptions(options) {
  const given = validate.object(options, 'options');
  const { bus } = given;
  const listenInfo = /** @type {any} */ (given.listenInfo);

  if (typeof bus?.publish !== 'function' || typeof bus.subscribe !== 'function') {
    throw validate.wrong('bus', bus, 'a Bus, as natsBus() and redisBus() make it');
  }
  if (!(bus.maxPayload >= MIN_PAYLOAD)) {
    throw validate.wrong('bus.maxPayload', bus.maxPayload, `${MIN_PAYLOAD} or more`);
  }
  if (!validate.given(listenInfo)) {
    throw validate.missing('listenInfo', listenInfo);
  }

  const { ip, announcedAddresses } = parseUdpListenInfo({ listenInfo });
  const [announced] = announcedAddresses;

  if (announced !== undefined && isIP(announced) === 0) {
    throw validate.wrong('listenInfo.announcedAddress', announced, 'an IP address in a cluster');
  }
  if (announced === undefined && isUnspecified(ip)) {
    throw new TypeError(
      `listenInfo.announcedAddress is needed with ip ${ip}: other hosts connect to it ${validate.got(listenInfo)}`,
    );
  }

  const carrier = given.carrier ?? 'auto';

  if (carrier !== 'auto' && carrier !== 'pipe' && carrier !== 'bus') {
    throw validate.wrong('carrier', carrier, "'auto', 'pipe' or 'bus'");
  }

  const host = validate.string(given.host, 'host', undefined) ?? randomBytes(8).toString('hex');
  const prefix = validate.string(given.prefix, 'prefix', 'datasoup');

  if (!HOST.test(host)) {
    throw validate.wrong('host', host, '1 to 64 letters, digits, - and _');
  }
  if (!/^[\w-]+(\.[\w-]+)*$/.test(prefix) || prefix.length > 64) {
    throw validate.wrong(
      'prefix',
      prefix,
      '1 to 64 letters, digits, -, _ and single dots between them',
    );
  }
  return {
    bus,
    secrets: parseSecrets(given.secret),
    listenInfo: /** @type {import('../..').TransportListenInfo} */ (listenInfo),
    host,
    prefix,
    lease: validate.integer(given.lease ?? 5000, 'lease', 600_000, 500),
    linger: validate.integer(given.linger ?? 5000, 'linger', 3_600_000),
    carrier,
  };
}

/**
 * @param {unknown} secret
 * @returns {Buffer[]}
 */
function parseSecrets(secret) {
  const secrets = Array.isArray(secret) ? secret : [secret];

  if (secrets.length < 1 || secrets.length > 2) {
    // The value is not shown: it is secret.
    throw new TypeError(
      `secret must be one secret, or [current, previous] (got an array of ${secrets.length})`,
    );
  }

  const parsed = secrets.map((each) => {
    if (typeof each !== 'string' && !Buffer.isBuffer(each)) {
      throw new TypeError(`secret must be a string or a Buffer (got ${typeof each})`);
    }

    const bytes = Buffer.from(/** @type {any} */ (each));

    if (bytes.length < MIN_SECRET) {
      throw new TypeError(`secret must have ${MIN_SECRET} bytes or more (got ${bytes.length})`);
    }
    return bytes;
  });

  if (parsed.length === 2 && parsed[0].equals(parsed[1])) {
    throw new TypeError('secret must be one secret, or two different ones (got the same twice)');
  }
  return parsed;
}

/**
 * @param {unknown} room
 * @param {unknown} options
 * @returns {{ name: string, router: import('../Router').Router<any>, signal: AbortSignal | undefined }}
 */
function parseJoinOptions(room, options) {
  const given = validate.object(options, 'options');
  const name = validate.string(room, 'room', undefined);

  if (!name) {
    throw validate.wrong('room', room, 'a string that is not empty');
  }
  if (!isEntity(given.router, 'router')) {
    throw validate.wrongEntity('router', given.router, 'a Router');
  }
  return { name, router: given.router, signal: validate.optionalSignal(given.signal, 'signal') };
}

/**
 * @param {unknown} info
 * @returns {string} JSON.
 */
function parseInfo(info) {
  let json;

  try {
    json = JSON.stringify(info ?? null);
  } catch (error) {
    throw new TypeError(`info must be serializable as JSON ${validate.got(info)}`, {
      cause: error,
    });
  }
  return parseText(json, 'info as JSON');
}

/**
 * @param {string | undefined} text
 * @param {string} name
 * @returns {string}
 */
function parseText(text, name) {
  if (text === undefined || Buffer.byteLength(text) > MAX_TEXT) {
    throw validate.wrong(name, text, `at most ${MAX_TEXT} bytes to be announced`);
  }
  return text;
}

module.exports = { parseClusterOptions, parseInfo, parseJoinOptions, parseText };
