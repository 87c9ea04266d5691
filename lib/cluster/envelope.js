'use strict';

// Seals control messages, and opens those of other hosts.
//
//   format 1 | key id 4 | epoch 12 | counter 6 | length of host 1 | host | AES-256-GCM of the message | tag 16
//
// The key is HKDF-SHA256(secret, host and epoch), so each incarnation of a host has its own, and its counter, which
// never repeats, is the nonce. The header and the subject are authenticated: a message moved to another subject, host
// or epoch does not open. The key id is derived from the secret and says which of two secrets a sender uses; a host
// seals with the first of its secrets and opens with any.
//
// What does not open is a Refusal with the reason. Peers.js checks whether a counter is new.

const { createCipheriv, createDecipheriv, createSecretKey, hkdfSync } = require('node:crypto');

const FORMAT = 1;
const KEY_ID = 4;
const EPOCH = 12;
const COUNTER = 6;
const TAG = 16;
const HOST_AT = 1 + KEY_ID + EPOCH + COUNTER + 1;

/** What a message grows by at most, in bytes. */
const OVERHEAD = HOST_AT + 64 + TAG;

/** The largest envelope that is opened, in bytes. Senders stay below `MAX_MESSAGE` of messages.js. */
const MAX_ENVELOPE = 1024 * 1024;

/** How many keys of other incarnations are kept. One that is evicted is derived again. */
const MAX_KEYS = 20_000;

/** Names of hosts are tokens of subjects. */
const HOST = /^[\w-]{1,64}$/;

/** @typedef {import('node:crypto').KeyObject} KeyObject */

const REFUSALS = /** @type {const} */ ([
  'format',
  'oversized',
  'key',
  'forged',
  'malformed',
  'incompatible',
  'ahead',
  'replayed',
  'stale',
  'toomany',
  'crossed',
  'unasked',
]);

/** @typedef {typeof REFUSALS[number]} RefusalReason */

/** A control message that is refused: it changes nothing but a counter. */
class Refusal extends Error {
  /** @param {RefusalReason} reason */
  constructor(reason) {
    super(`control message refused: ${reason}`);
    this.reason = reason;
  }
}

/**
 * @typedef {object} Opened
 * @property {string} host
 * @property {string} epoch - 24 hexadecimal digits; epochs of a host compare as strings.
 * @property {number} counter
 * @property {Buffer} message
 */

class Envelope {
  #secrets;
  #key;
  #header;
  #counter = 0;
  /** Keys of other incarnations, the one used last at the end. @type {Map<string, KeyObject>} */
  #keys = new Map();

  /**
   * @param {object} options
   * @param {Buffer[]} options.secrets - the first one seals.
   * @param {string} options.host
   * @param {string} options.epoch
   */
  constructor({ secrets, host, epoch }) {
    this.#secrets = new Map(
      secrets.map((secret) => /** @type {[string, Buffer]} */ ([keyId(secret), secret])),
    );
    this.#key = keyOf(secrets[0], host, epoch);
    this.#header = Buffer.alloc(HOST_AT + host.length);
    this.#header[0] = FORMAT;
    this.#header.write(keyId(secrets[0]), 1, 'hex');
    this.#header.write(epoch, 1 + KEY_ID, 'hex');
    this.#header[HOST_AT - 1] = host.length;
    this.#header.write(host, HOST_AT, 'latin1');
  }

  /**
   * @param {string} subject
   * @param {Uint8Array} message
   * @returns {Buffer}
   */
  seal(subject, message) {
    const header = Buffer.from(this.#header);

    this.#counter += 1;
    header.writeUIntBE(this.#counter, 1 + KEY_ID + EPOCH, COUNTER);

    const cipher = createCipheriv('aes-256-gcm', this.#key, nonce(this.#counter));

    cipher.setAAD(authenticated(header, subject));
    return Buffer.concat([header, cipher.update(message), cipher.final(), cipher.getAuthTag()]);
  }

  /**
   * @param {string} subject - the one that the message came on.
   * @param {Uint8Array} bytes
   * @returns {Opened}
   * @throws {Refusal}
   */
  open(subject, bytes) {
    const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);

    if (buffer.length > MAX_ENVELOPE) {
      throw new Refusal('oversized');
    }
    if (buffer.length < HOST_AT + TAG || buffer[0] !== FORMAT) {
      throw new Refusal('format');
    }

    const end = HOST_AT + buffer[HOST_AT - 1];
    const host = buffer.toString('latin1', HOST_AT, end);

    if (buffer.length < end + TAG || !HOST.test(host)) {
      throw new Refusal('format');
    }

    const id = buffer.toString('hex', 1, 1 + KEY_ID);
    const epoch = buffer.toString('hex', 1 + KEY_ID, 1 + KEY_ID + EPOCH);
    const counter = buffer.readUIntBE(1 + KEY_ID + EPOCH, COUNTER);
    const secret = this.#secrets.get(id);

    if (!secret) {
      throw new Refusal('key');
    }

    const name = `${id}/${host}/${epoch}`;
    const key = this.#keys.get(name) ?? keyOf(secret, host, epoch);
    const decipher = createDecipheriv('aes-256-gcm', key, nonce(counter), { authTagLength: TAG });

    decipher.setAAD(authenticated(buffer.subarray(0, end), subject));
    decipher.setAuthTag(buffer.subarray(-TAG));

    let message;

    try {
      message = Buffer.concat([decipher.update(buffer.subarray(end, -TAG)), decipher.final()]);
    } catch {
      throw new Refusal('forged');
    }
    // Kept only now: what is forged evicts nothing.
    this.#keep(name, key);
    return { host, epoch, counter, message };
  }

  /**
   * @param {string} name
   * @param {KeyObject} key
   */
  #keep(name, key) {
    this.#keys.delete(name);
    this.#keys.set(name, key);
    if (this.#keys.size > MAX_KEYS) {
      this.#keys.delete(/** @type {string} */ (this.#keys.keys().next().value));
    }
  }
}

/**
 * @param {number} startedAt - in milliseconds of the wall clock.
 * @param {Uint8Array} random - 6 bytes.
 * @returns {string}
 */
function epochOf(startedAt, random) {
  const epoch = Buffer.alloc(EPOCH);

  epoch.writeUIntBE(startedAt, 0, 6);
  epoch.set(random, 6);
  return epoch.toString('hex');
}

/**
 * @param {Buffer} secret
 * @param {string} info
 * @param {number} length
 */
function derive(secret, info, length) {
  return Buffer.from(hkdfSync('sha256', secret, 'datasoup/cluster', info, length));
}

/** @param {Buffer} secret */
const keyId = (secret) => derive(secret, 'id', KEY_ID).toString('hex');

/**
 * @param {Buffer} secret
 * @param {string} host
 * @param {string} epoch
 */
const keyOf = (secret, host, epoch) => createSecretKey(derive(secret, `key ${epoch} ${host}`, 32));

/** @param {number} counter */
function nonce(counter) {
  const bytes = Buffer.alloc(12);

  bytes.writeUIntBE(counter, 12 - COUNTER, COUNTER);
  return bytes;
}

/**
 * The header says its own length, so nothing can move between it and the subject.
 *
 * @param {Buffer} header
 * @param {string} subject
 */
const authenticated = (header, subject) => Buffer.concat([header, Buffer.from(subject)]);

exports.Envelope = Envelope;
exports.HOST = HOST;
exports.MAX_ENVELOPE = MAX_ENVELOPE;
exports.OVERHEAD = OVERHEAD;
exports.REFUSALS = REFUSALS;
exports.Refusal = Refusal;
exports.epochOf = epochOf;
