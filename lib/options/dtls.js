'use strict';

const validate = require('./validate');

/** @type {import('../..').DtlsRole[]} */
const ROLES = ['auto', 'client', 'server'];
/**
 * The length of a fingerprint by algorithm, in bytes.
 *
 * @type {Map<import('../..').FingerprintAlgorithm, number>}
 */
const FINGERPRINT_LENGTHS = new Map([
  ['sha-1', 20],
  ['sha-224', 28],
  ['sha-256', 32],
  ['sha-384', 48],
  ['sha-512', 64],
]);
const ALGORITHMS = [...FINGERPRINT_LENGTHS.keys()];

/**
 * Parses the peer's DTLS parameters into Rust's `DtlsParameters`.
 *
 * @param {unknown} value
 * @returns {Required<import('../..').DtlsParameters>} with at least one fingerprint.
 */
function parseDtlsParameters(value) {
  if (!validate.given(value)) {
    throw validate.missing('dtlsParameters', value);
  }

  const given = validate.object(value, 'dtlsParameters');
  const role = validate.oneOf(given.role ?? 'auto', 'dtlsParameters.role', ROLES);
  const fingerprints = validate.array(given.fingerprints, 'dtlsParameters.fingerprints');

  if (fingerprints.length === 0) {
    throw validate.wrong(
      'dtlsParameters.fingerprints',
      fingerprints,
      'an array with at least one entry',
    );
  }
  return { role, fingerprints: Array.from(fingerprints, parseFingerprint) };
}

/**
 * @param {unknown} fingerprint
 * @param {number} index
 * @returns {import('../..').DtlsFingerprint}
 */
function parseFingerprint(fingerprint, index) {
  const name = `dtlsParameters.fingerprints[${index}]`;
  const given = validate.object(fingerprint, name);
  const algorithm = parseAlgorithm(given.algorithm, `${name}.algorithm`);
  const length = Number(FINGERPRINT_LENGTHS.get(algorithm));
  const { value } = given;

  if (typeof value !== 'string' || !isHex(value, length)) {
    throw validate.wrong(`${name}.value`, value, `${length} bytes in hex, separated by colons`);
  }
  return { algorithm, value };
}

/**
 * @param {unknown} value - in any case: the names of hash functions are case-insensitive (RFC 8122, section 5).
 * @param {string} name
 */
function parseAlgorithm(value, name) {
  return validate.oneOf(typeof value === 'string' ? value.toLowerCase() : value, name, ALGORITHMS);
}

/**
 * @param {string} value
 * @param {number} length - in bytes.
 */
function isHex(value, length) {
  return value.length === 3 * length - 1 && /^[0-9a-f]{2}(:[0-9a-f]{2})*$/i.test(value);
}

module.exports = { parseDtlsParameters };
