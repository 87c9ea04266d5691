'use strict';

// Which control messages exist, on which subjects, and how they become bytes.
//
//   P.room.<hash>   state, diff, leave            to all hosts of a room
//   P.to.<host>     list, pipe, piped, want, given    to one host: requests have `id`, answers repeat it in `re`
//   P.beat.<host>   beat, bye                     of one host
//
// A message that comes from the bus is checked member by member before anything else sees it: types, ranges, lengths.
// It is refused as a whole or taken; members that are not known are left out.
//
// `v` is the major version of the protocol that it is written in, `takes` the newest one that its sender takes, if that
// is another. A release writes its own version, and the one before to hosts that it has not heard or that take no newer
// one. It reads what the release before writes as well, so three versions: hosts whose newest versions differ by one at
// most understand each other.

const { createHash } = require('node:crypto');

const { Refusal } = require('./envelope');

/**
 * The versions that a release writes: its own, and the one before if there is one.
 *
 * @typedef {{ oldest: number, current: number }} Range
 */

/**
 * What this release writes. Where two versions differ, encode() and decode() translate; decode() also takes the one
 * before `oldest`.
 */
const VERSIONS = { oldest: 1, current: 1 };

/** How long a message may be before it is sealed, in bytes. Longer lists are split. */
const MAX_MESSAGE = 128 * 1024;

/** The longest `info` of a DataProducer, as JSON, its label and its protocol, in bytes. */
const MAX_TEXT = 1024;

/** How many messages a list may have. */
const MAX_PARTS = 2048;

/** By how many subchannels a path may filter. With more, it carries all messages. */
const MAX_SUBCHANNELS = 4096;

const UUID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/** @typedef {import('./types').Message} Message */
/** @typedef {import('./types').Entry} Entry */
/** @typedef {(value: any) => boolean} Check */

/** @type {Check} */
const uint = (value) => Number.isSafeInteger(value) && value >= 0;
/** @type {Check} */
const uint16 = (value) => uint(value) && value <= 0xffff;
/** @type {Check} */
const bool = (value) => typeof value === 'boolean';
/** @type {Check} */
const text = (value) => typeof value === 'string' && Buffer.byteLength(value) <= MAX_TEXT;
/** @type {(pattern: RegExp) => Check} */
const matches = (pattern) => (value) => typeof value === 'string' && pattern.test(value);
/** @type {(check: Check) => Check} */
const list = (check) => (value) => Array.isArray(value) && value.every(check);
/** @type {(members: Record<string, Check>) => Check} */
const object = (members) => (value) =>
  typeof value === 'object' &&
  value !== null &&
  Object.entries(members).every(([name, check]) => check(value[name]));
/** @type {(check: Check) => Check} */
const optional = (check) => (value) => value === undefined || check(value);

const uuid = matches(UUID);
const epoch = matches(/^[0-9a-f]{24}$/);
const nonce = matches(/^[0-9a-f]{32}$/);
const hash = matches(/^[0-9a-f]{32}$/);
const error = matches(/^[a-z ]{1,32}$/);

const retain = object({ messages: uint16, bytes: optional(uint), maxAge: optional(uint) });
const entry = object({
  id: uuid,
  label: text,
  protocol: text,
  info: text,
  ordered: bool,
  maxPacketLifeTime: optional(uint16),
  maxRetransmits: optional(uint16),
  retain: optional(retain),
});
// Of an end of a pipe: for UDP, or over the bus.
const address = {
  address: optional(text),
  port: optional((/** @type {any} */ value) => uint16(value) && value > 0),
  bus: optional(hash),
};
/** @type {Check} */
const subchannels = (value) =>
  value === true || (list(uint16)(value) && value.length <= MAX_SUBCHANNELS);

const wanted = (/** @type {any} */ item) =>
  Array.isArray(item) &&
  uuid(item[0]) &&
  (item[1] === null || (subchannels(item[1]) && uint16(item[2]) && bool(item[3])));
const given = (/** @type {any} */ item) =>
  Array.isArray(item) && uuid(item[0]) && (item[1] === null || uint(item[1]));

/**
 * The members of each message. Members of members are checked, and not copied: what is not known there stays.
 *
 * @type {Record<string, Record<string, Check>>}
 */
const MESSAGES = {
  // My list is at `seq`; `ask`: send me yours, with this as `re`.
  state: { seq: uint, ask: optional(nonce) },
  // From `from` to `seq` my list has changed so.
  diff: { from: uint, seq: uint, add: list(entry), del: list(uuid) },
  // I have left this room.
  leave: { seq: uint },
  // I live; beats are numbered. `seq` is the number of my last change, in any room.
  beat: { beat: uint, seq: uint },
  // I leave.
  bye: {},
  // With `re` and `list`, the list of a room, or a part of it. With `re` and `seq`, it is at the number that you have.
  // With `re` and `gone`, I am not in this room. With `re` alone, I live, and send it once you have shown that you do.
  // With `id`, send me yours, of which I have the number `have`.
  list: {
    id: optional(nonce),
    to: optional(epoch),
    re: optional(nonce),
    room: optional(hash),
    gone: optional(bool),
    have: optional(uint),
    seq: optional(uint),
    part: optional(uint),
    parts: optional(uint),
    list: optional(list(entry)),
  },
  // Make the far end of my pipe `pipe`, which replaces those with lower numbers.
  pipe: { id: nonce, to: epoch, pipe: uint, ...address, fingerprint: text },
  piped: { re: nonce, error: optional(error), ...address, fingerprint: optional(text) },
  // Send these over my pipe, each on the stream that I have chosen: all messages (true), those of subchannels and those
  // without; or none (null). The last member: I have had what it retains. `gen` orders the wants of a pipe.
  want: { id: nonce, to: epoch, pipe: uint, gen: uint, items: list(wanted) },
  // How many messages each had received when its stream began; null if I have no such DataProducer.
  given: { re: nonce, error: optional(error), items: optional(list(given)) },
};

const TYPES = Object.keys(MESSAGES);

const KINDS = {
  room: ['state', 'diff', 'leave'],
  to: ['list', 'pipe', 'piped', 'want', 'given'],
  beat: ['beat', 'bye'],
};

/** @typedef {keyof typeof KINDS} Kind */

/** @param {any} end - of a pipe. */
const isReachable = ({ address: ip, port, bus }) =>
  bus === undefined ? ip !== undefined && port !== undefined : ip === undefined;

/**
 * Whether the members fit together.
 *
 * @param {any} message
 */
function isWhole(message) {
  switch (message.type) {
    case 'diff':
      return message.from < message.seq;
    case 'list':
      return (
        (message.id === undefined ? message.re !== undefined : message.to !== undefined) &&
        (message.list === undefined ||
          (message.re !== undefined &&
            message.room !== undefined &&
            message.seq !== undefined &&
            message.part < message.parts &&
            message.parts <= MAX_PARTS))
      );
    case 'pipe':
      return isReachable(message);
    case 'piped':
      return (
        message.error !== undefined || (isReachable(message) && message.fingerprint !== undefined)
      );
    case 'given':
      return message.error !== undefined || message.items !== undefined;
    default:
      return true;
  }
}

/**
 * @param {Message} message
 * @param {number} [v] - the version to write it in.
 * @param {number} [takes] - the newest version that this host takes.
 * @returns {Buffer}
 */
const encode = (message, v = VERSIONS.current, takes = v) =>
  Buffer.from(JSON.stringify({ v, ...(takes === v ? {} : { takes }), ...message }));

/**
 * @param {Kind} kind - of the subject.
 * @param {Buffer} bytes
 * @param {Range} [range] - the versions that this host writes.
 * @returns {{ message: Message, takes: number }}
 * @throws {Refusal}
 */
function decode(kind, bytes, { oldest, current } = VERSIONS) {
  let parsed;

  try {
    parsed = JSON.parse(bytes.toString());
  } catch {
    throw new Refusal('malformed');
  }
  if (typeof parsed !== 'object' || parsed === null || !uint(parsed.v)) {
    throw new Refusal('malformed');
  }

  const { v, takes = v } = parsed;

  if (!uint(takes) || takes < v || takes > v + 1) {
    throw new Refusal('malformed');
  }
  if (takes < oldest || takes > current + 1) {
    throw new Refusal('incompatible');
  }
  if (v > current) {
    // The sender writes the version of this host as soon as it has heard it.
    throw new Refusal('ahead');
  }
  // A type of a later release of this version, or one that belongs to subjects of another kind.
  if (!KINDS[kind].includes(parsed.type)) {
    throw new Refusal('malformed');
  }

  const members = MESSAGES[parsed.type];

  if (!object(members)(parsed) || !isWhole(parsed)) {
    throw new Refusal('malformed');
  }

  const message = { type: parsed.type };

  for (const name of Object.keys(members)) {
    if (parsed[name] !== undefined) {
      Object.assign(message, { [name]: parsed[name] });
    }
  }
  return { message: /** @type {Message} */ (message), takes };
}

/**
 * Splits what is too long for one message.
 *
 * @template T
 * @param {readonly T[]} items - each far shorter than `limit`.
 * @param {number} limit - in bytes.
 * @returns {T[][]} at least one part.
 */
function split(items, limit) {
  /** @type {T[][]} */
  const parts = [[]];
  let room = limit;

  for (const item of items) {
    const length = Buffer.byteLength(JSON.stringify(item)) + 1;

    if (length > room && parts[parts.length - 1].length > 0) {
      parts.push([]);
      room = limit;
    }
    parts[parts.length - 1].push(item);
    room -= length;
  }
  return parts;
}

/**
 * @param {string} room - its name.
 * @returns {string}
 */
const hashOf = (room) => createHash('sha256').update(room).digest('hex').slice(0, 32);

/** The subjects below a prefix. */
class Subjects {
  #prefix;

  /** @param {string} prefix */
  constructor(prefix) {
    this.#prefix = prefix;
  }

  /**
   * @param {Kind | 'data'} kind
   * @param {string} name - the hash of a room, a host, or a relay.
   */
  of(kind, name) {
    return `${this.#prefix}.${kind}.${name}`;
  }
}

exports.MAX_MESSAGE = MAX_MESSAGE;
exports.MAX_SUBCHANNELS = MAX_SUBCHANNELS;
exports.MAX_TEXT = MAX_TEXT;
exports.Subjects = Subjects;
exports.TYPES = TYPES;
exports.VERSIONS = VERSIONS;
exports.decode = decode;
exports.encode = encode;
exports.hashOf = hashOf;
exports.split = split;
