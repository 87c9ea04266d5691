'use strict';

const validate = require('./validate');

const ROLES = ['auto', 'client', 'server'];
const ALGORITHMS = ['sha-1', 'sha-224', 'sha-256', 'sha-384', 'sha-512'];

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

  if (!ALGORITHMS.includes(algorithm)) {
    throw new TypeError(`invalid FingerprintAlgorithm: ${String(algorithm)}`);
  }
  if (typeof value !== 'string' || value === '') {
    throw validate.wrong(`${name}.value`, value, 'a fingerprint');
  }
  return { algorithm, value };
}

exports.parseDtlsParameters = parseDtlsParameters;
