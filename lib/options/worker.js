'use strict';

const { readFile } = require('node:fs/promises');

const { parseListenInfos } = require('./listenInfo');
const validate = require('./validate');

/** @type {import('../..').WorkerLogLevel[]} */
const LOG_LEVELS = ['debug', 'warn', 'error', 'none'];
/** @type {import('../..').WorkerLogLevel} */
const LOG_LEVEL = 'error';
const RTC_MIN_PORT = 10_000;
const RTC_MAX_PORT = 59_999;
/** The smallest `maxMemory` holds a few messages of the default maximum size, in bytes. */
const MIN_MAX_MEMORY = 1024 * 1024;

/**
 * @typedef {object} WorkerSettings - Rust's `WorkerSettings`.
 * @property {import('../..').WorkerLogLevel} logLevel
 * @property {string[]} logTags
 * @property {number} rtcMinPort
 * @property {number} rtcMaxPort - not below `rtcMinPort`.
 * @property {number} [maxMemory] - in bytes; undefined for no limit.
 * @property {DtlsCertificate} [dtlsCertificate] - undefined if the worker is to generate a certificate.
 */

/**
 * @typedef {object} DtlsCertificate - Rust's `DtlsCertificate`, in PEM.
 * @property {string} certificate
 * @property {string} privateKey
 */

/**
 * @typedef {object} LogSettings - Rust's `LogSettings`. A setting that is undefined keeps its value.
 * @property {import('../..').WorkerLogLevel} [logLevel]
 * @property {string[]} [logTags]
 */

/**
 * @param {Record<string, any>} given
 * @returns {Promise<WorkerSettings>}
 */
async function parseWorkerSettings(given) {
  const { logLevel = LOG_LEVEL, logTags = [] } = parseLogSettings(given);
  const { rtcMinPort, rtcMaxPort } = parsePorts(given);

  return {
    logLevel,
    logTags,
    rtcMinPort,
    rtcMaxPort,
    maxMemory: validate.given(given.maxMemory)
      ? validate.integer(given.maxMemory, 'maxMemory', Number.MAX_SAFE_INTEGER, MIN_MAX_MEMORY)
      : undefined,
    dtlsCertificate: await readDtlsCertificate(given),
  };
}

/**
 * @param {Record<string, any>} given
 * @returns {{ rtcMinPort: number, rtcMaxPort: number }}
 */
function parsePorts(given) {
  const min = parsePort(given, 'rtcMinPort');
  const max = parsePort(given, 'rtcMaxPort');

  // From 0 to 0 is the default, as with `portRange`.
  if (min === 0 && max === 0) {
    return { rtcMinPort: RTC_MIN_PORT, rtcMaxPort: RTC_MAX_PORT };
  }

  // There is no port 0: the system takes it for any port, of the range or not.
  const rtcMinPort = Math.max(min ?? RTC_MIN_PORT, 1);
  const rtcMaxPort = max ?? RTC_MAX_PORT;

  if (rtcMinPort > rtcMaxPort) {
    throw new TypeError(`rtcMinPort (${rtcMinPort}) cannot be above rtcMaxPort (${rtcMaxPort})`);
  }
  return { rtcMinPort, rtcMaxPort };
}

/**
 * @param {Record<string, any>} given
 * @returns {Promise<DtlsCertificate | undefined>}
 */
async function readDtlsCertificate(given) {
  const certificateFile = parsePath(given, 'dtlsCertificateFile');
  const privateKeyFile = parsePath(given, 'dtlsPrivateKeyFile');

  if (certificateFile === undefined && privateKeyFile === undefined) {
    return undefined;
  }
  if (certificateFile === undefined || privateKeyFile === undefined) {
    throw new TypeError(
      'dtlsCertificateFile and dtlsPrivateKeyFile must both be given, or neither ' +
        validate.got(certificateFile, privateKeyFile),
    );
  }

  const [certificate, privateKey] = await Promise.all([
    readPem('dtlsCertificateFile', certificateFile),
    readPem('dtlsPrivateKeyFile', privateKeyFile),
  ]);

  return { certificate, privateKey };
}

/**
 * @param {Record<string, any>} given
 * @returns {LogSettings}
 */
function parseLogSettings({ logLevel, logTags }) {
  return {
    logLevel: validate.given(logLevel)
      ? validate.oneOf(logLevel, 'logLevel', LOG_LEVELS)
      : undefined,
    // The worker ignores tags that it does not know.
    logTags: validate.given(logTags) ? validate.strings(logTags, 'logTags') : undefined,
  };
}

/**
 * @param {Record<string, any>} given
 * @returns {{ listenInfos: import('./listenInfo').ListenInfo[] }} Rust's `WebRtcServerOptions`.
 */
function parseWebRtcServerOptions({ listenInfos }) {
  return { listenInfos: parseListenInfos(listenInfos) };
}

/**
 * @param {Record<string, any>} given
 * @param {string} name
 * @returns {number | undefined} undefined also for NaN, as in mediasoup: `Number()` of an environment variable that is
 * not set.
 */
function parsePort(given, name) {
  const value = given[name];

  return Number.isNaN(value) ? undefined : validate.optionalPort(value, name);
}

/**
 * @param {Record<string, any>} given
 * @param {string} name
 */
function parsePath(given, name) {
  return validate.string(given[name], name, undefined);
}

/**
 * @param {string} name
 * @param {string} file
 */
async function readPem(name, file) {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    throw new TypeError(`${name} '${file}' cannot be read`, { cause: error });
  }
}

module.exports = { parseWorkerSettings, parseLogSettings, parseWebRtcServerOptions };
