'use strict';

const validate = require('./validate');

const ROLES = ['auto', 'client', 'server'];
/** The algorithms, and how many bytes a fingerprint of each has. */
const LENGTHS = new Map([
  ['sha-1', 20],
  ['sha-224', 28],
  ['sha-256', 32],
  ['sha-384', 48],
  ['sha-512', 64],
]);

/**
 * The DTLS parameters of a peer.
 *
 * @param {unknown} value
 * @returns {Required<import('..').DtlsParameters>}
 */
function parseDtlsParameters(value) {
  if (!validate.given(value)) {
    throw new TypeError('missing dtlsParameters');
  }

  const options = validate.object(value, 'dtlsParameters');
  const role = options.role ?? 'auto';
  const fingerprints = validate.array(options.fingerprints, 'dtlsParameters.fingerprints');

  if (!ROLES.includes(role)) {
    throw new TypeError(`invalid DtlsRole: ${String(role)}`);
  }
  if (fingerprints.length === 0) {
    throw new TypeError('empty dtlsParameters.fingerprints array');
  }
  return { role, fingerprints: Array.from(fingerprints, parseFingerprint) };
}

/**
 * @param {unknown} fingerprint
 * @param {number} index
 * @returns {import('..').DtlsFingerprint}
 */
function parseFingerprint(fingerprint, index) {
  const name = `dtlsParameters.fingerprints[${index}]`;
  const { algorithm, value } = validate.object(fingerprint, name);

  const bytes = LENGTHS.get(algorithm);

  if (bytes === undefined) {
    throw new TypeError(`invalid FingerprintAlgorithm: ${String(algorithm)}`);
  }
  if (typeof value !== 'string' || !isHex(value, bytes)) {
    throw validate.wrong(`${name}.value`, value, `${bytes} bytes in hex, with colons between them`);
  }
  return { algorithm, value };
}

/**
 * @param {string} value
 * @param {number} bytes
 */
function isHex(value, bytes) {
  return value.length === 3 * bytes - 1 && /^[0-9a-f]{2}(:[0-9a-f]{2})*$/i.test(value);
}

exports.parseDtlsParameters = parseDtlsParameters;
