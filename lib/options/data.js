'use strict';

const { Logger } = require('../Logger');
const { parseLimit } = require('./limit');
const { parseSubchannels } = require('./message');
const validate = require('./validate');

/** Stream 65535 does not exist (RFC 8832, section 6). */
const MAX_STREAM_ID = 65_534;
/** The default of `maxBufferedAmount`, in bytes. */
const MAX_BUFFERED_AMOUNT = 64 * 1024 * 1024;
/** The default of `maxBufferedAmount` of a paused DataProducer that holds messages of a peer, in bytes. */
const MAX_HELD_OF_PEER = 1024 * 1024;
/** The largest `retain.messages`. */
const MAX_RETAINED_MESSAGES = 65_535;
/** The default of `retain.bytes`. */
const RETAINED_BYTES = 1024 * 1024;
/** @type {readonly import('../..').WhilePaused[]} */
const WHILE_PAUSED = ['drop', 'hold'];

/** @type {readonly import('../..').DataConsumerOverflow[]} */
const OVERFLOWS = ['drop-newest', 'drop-oldest', 'keep-latest', 'block', 'close'];
/** The default of `overflowTimeout`, in milliseconds. */
const OVERFLOW_TIMEOUT = 5_000;

const logger = new Logger('Transport');

/**
 * @typedef {object} SctpStreamParameters - Rust's `SctpStreamParameters`.
 * @property {number} streamId
 * @property {boolean} ordered
 * @property {number} [maxPacketLifeTime] - in milliseconds.
 * @property {number} [maxRetransmits]
 */

/**
 * @typedef {object} DataProducerOptions - Rust's `DataProducerOptions`.
 * @property {string} [id]
 * @property {string} label
 * @property {string} protocol
 * @property {boolean} paused
 * @property {import('../..').WhilePaused} whilePaused
 * @property {boolean} originPaused - behind `pipeToRouter()`: whether the original was paused when it was piped.
 * @property {SctpStreamParameters} [sctpStreamParameters] - undefined on a DirectTransport.
 * @property {{ label: boolean, protocol: boolean, reliability: boolean }} fromChannel - which of these were not given,
 * and are taken from a channel that the peer has opened in band.
 * @property {RetainOptions} [retain]
 * @property {import('./limit').LimitOptions} [limit]
 */

/**
 * @typedef {object} RetainOptions - Rust's `RetainOptions`.
 * @property {number} messages
 * @property {number} bytes
 * @property {number} [maxAge] - in milliseconds.
 */

/**
 * @typedef {object} DataConsumerOptions - Rust's `DataConsumerOptions`. A reliability that is not given is taken from
 * the DataProducer by the worker.
 * @property {string} dataProducerId
 * @property {boolean} paused
 * @property {number[]} subchannels
 * @property {boolean} strictSubchannels - on a pipe.
 * @property {boolean} retained
 * @property {boolean} [ordered]
 * @property {number} [maxPacketLifeTime] - in milliseconds.
 * @property {number} [maxRetransmits]
 * @property {number} [streamId]
 * @property {import('../..').WhilePaused} whilePaused
 * @property {boolean} negotiated
 * @property {boolean} waitsForStart - for `pipeToRouter()`: deliver nothing until `start()`.
 * @property {import('../..').DataConsumerOverflow} [overflow]
 * @property {number} [maxBufferedAmount] - in bytes; that of a direct consumer is an argument of its own.
 * @property {number} [maxQueueDelay] - in milliseconds.
 * @property {number} [overflowTimeout] - in milliseconds; undefined for no limit.
 */

/**
 * @param {Record<string, any>} given
 * @param {boolean} direct - whether the transport is a DirectTransport.
 * @param {boolean} [originPaused]
 * @returns {DataProducerOptions}
 */
function parseDataProducerOptions(given, direct, originPaused = false) {
  if (direct) {
    warnIfIgnored('produceData()', given, ['sctpStreamParameters']);
  }
  return {
    id: validate.optionalUuid(given.id, 'id'),
    label: validate.text(given.label, 'label'),
    protocol: validate.text(given.protocol, 'protocol'),
    paused: validate.boolean(given.paused, 'paused', false),
    whilePaused: parseWhilePaused(given.whilePaused),
    originPaused,
    sctpStreamParameters: direct
      ? undefined
      : parseSctpStreamParameters(given.sctpStreamParameters),
    fromChannel: {
      label: !validate.given(given.label),
      protocol: !validate.given(given.protocol),
      reliability: !givesReliability(given.sctpStreamParameters),
    },
    retain: validate.given(given.retain) ? parseRetain(given.retain) : undefined,
    limit: parseLimit(given.limit),
  };
}

/** @param {any} sctpStreamParameters */
function givesReliability(sctpStreamParameters) {
  const { ordered, maxPacketLifeTime, maxRetransmits } = sctpStreamParameters ?? {};

  return [ordered, maxPacketLifeTime, maxRetransmits].some(validate.given);
}

/**
 * @param {Record<string, any>} given
 * @returns {{ sctpStreamParameters: SctpStreamParameters }} Rust's `MoveOptions`.
 */
function parseMoveOptions({ sctpStreamParameters }) {
  return { sctpStreamParameters: parseSctpStreamParameters(sctpStreamParameters) };
}

/**
 * @param {unknown} value
 * @returns {RetainOptions}
 */
function parseRetain(value) {
  const { messages, bytes, maxAge } = validate.object(value, 'retain');

  return {
    messages: validate.integer(messages, 'retain.messages', MAX_RETAINED_MESSAGES, 1),
    bytes: validate.optionalInteger(bytes, 'retain.bytes', undefined, 1) ?? RETAINED_BYTES,
    maxAge: validate.optionalInteger(maxAge, 'retain.maxAge', undefined, 1),
  };
}

/**
 * @param {Record<string, any>} given
 * @param {boolean} direct - whether the transport is a DirectTransport.
 * @param {boolean} [waitsForStart]
 * @returns {DataConsumerOptions}
 */
function parseDataConsumerOptions(given, direct, waitsForStart = false) {
  const dataProducerId = validate.string(given.dataProducerId, 'dataProducerId', undefined);

  if (!dataProducerId) {
    throw validate.missing('dataProducerId', given.dataProducerId);
  }
  if (direct) {
    warnIfIgnored('consumeData()', given, [
      'ordered',
      'maxPacketLifeTime',
      'maxRetransmits',
      'streamId',
    ]);
  }

  const { overflow, overflowTimeout } = parseOverflowOptions(given);
  const negotiated = validate.boolean(given.negotiated, 'negotiated', true);

  if (!negotiated && validate.given(given.streamId)) {
    throw new TypeError(
      `streamId cannot be given with negotiated: false ${validate.got(given.streamId)}`,
    );
  }
  return {
    dataProducerId,
    negotiated,
    paused: validate.boolean(given.paused, 'paused', false),
    whilePaused: parseWhilePaused(given.whilePaused),
    subchannels: validate.given(given.subchannels) ? parseSubchannels(given.subchannels) : [],
    strictSubchannels: validate.boolean(given.strictSubchannels, 'strictSubchannels', false),
    retained: validate.boolean(given.retained, 'retained', true),
    waitsForStart,
    overflow,
    // A pipe waits for as long as the DataConsumers at its far end do.
    overflowTimeout: waitsForStart ? undefined : overflowTimeout,
    maxQueueDelay: validate.optionalInteger(given.maxQueueDelay, 'maxQueueDelay'),
    ...(direct
      ? {}
      : {
          ...parseReliabilityOverrides(given),
          streamId: validate.optionalInteger(given.streamId, 'streamId', MAX_STREAM_ID),
          maxBufferedAmount: validate.optionalInteger(given.maxBufferedAmount, 'maxBufferedAmount'),
        }),
  };
}

/**
 * @param {Record<string, any>} given
 * @returns {{ overflow?: import('../..').DataConsumerOverflow, overflowTimeout: number }}
 */
function parseOverflowOptions({ overflow, overflowTimeout, whilePaused }) {
  const parsed = validate.given(overflow) ? parseOverflow(overflow) : undefined;
  const timeout = validate.optionalInteger(overflowTimeout, 'overflowTimeout');

  if (timeout !== undefined && parsed !== 'block') {
    throw new TypeError(`overflowTimeout requires overflow 'block' ${validate.got(overflow)}`);
  }
  if (parsed === 'block' && whilePaused === 'hold') {
    throw new TypeError(
      `overflow 'block' cannot be combined with whilePaused 'hold' ${validate.got(overflow, whilePaused)}`,
    );
  }
  return { overflow: parsed, overflowTimeout: timeout ?? OVERFLOW_TIMEOUT };
}

/**
 * @param {unknown} value
 * @returns {import('../..').DataConsumerOverflow}
 */
function parseOverflow(value) {
  return validate.oneOf(value, 'overflow', OVERFLOWS);
}

/**
 * @param {unknown} value
 * @returns {import('../..').WhilePaused}
 */
function parseWhilePaused(value) {
  return validate.given(value) ? validate.oneOf(value, 'whilePaused', WHILE_PAUSED) : 'drop';
}

/**
 * The bound for messages that JavaScript has sent, that wait for JavaScript, or that are held.
 *
 * @param {Record<string, any>} given
 * @param {number} [fallback]
 * @returns {number} in bytes.
 */
function parseMaxBufferedAmount({ maxBufferedAmount }, fallback = MAX_BUFFERED_AMOUNT) {
  return validate.optionalInteger(maxBufferedAmount, 'maxBufferedAmount') ?? fallback;
}

/**
 * Parses the stream of a DataProducer. A lifetime or a number of retransmissions, even 0, makes the stream unordered.
 *
 * @param {unknown} value
 * @returns {SctpStreamParameters}
 */
function parseSctpStreamParameters(value) {
  const name = 'sctpStreamParameters';

  if (!validate.given(value)) {
    throw validate.missing(name, value);
  }

  const given = validate.object(value, name);
  const streamId = validate.integer(given.streamId, `${name}.streamId`, MAX_STREAM_ID);
  const { ordered, maxPacketLifeTime, maxRetransmits } = parseReliability(given, `${name}.`);
  const limited = maxPacketLifeTime !== undefined || maxRetransmits !== undefined;

  rejectTwoLimits(maxPacketLifeTime, maxRetransmits);
  if (ordered && limited) {
    throw new TypeError(
      `${name}.ordered cannot be true with maxPacketLifeTime or maxRetransmits ${validate.got(value)}`,
    );
  }
  return { streamId, ordered: ordered ?? !limited, maxPacketLifeTime, maxRetransmits };
}

/**
 * Parses the options with which a DataConsumer overrides the reliability of its DataProducer. `ordered: true` removes
 * all limits.
 *
 * @param {Record<string, any>} given
 * @returns {ReturnType<typeof parseReliability>}
 */
function parseReliabilityOverrides(given) {
  const parsed = parseReliability(given, '');

  if (!parsed.ordered) {
    rejectTwoLimits(parsed.maxPacketLifeTime, parsed.maxRetransmits);
  }
  return parsed;
}

/**
 * @param {Record<string, any>} given
 * @param {string} prefix - precedes the names in errors.
 * @returns {{ ordered?: boolean, maxPacketLifeTime?: number, maxRetransmits?: number }}
 */
function parseReliability({ ordered, maxPacketLifeTime, maxRetransmits }, prefix) {
  return {
    ordered: validate.boolean(ordered, `${prefix}ordered`, undefined),
    maxPacketLifeTime: validate.optionalInteger(
      maxPacketLifeTime,
      `${prefix}maxPacketLifeTime`,
      validate.MAX_UINT16,
    ),
    maxRetransmits: validate.optionalInteger(
      maxRetransmits,
      `${prefix}maxRetransmits`,
      validate.MAX_UINT16,
    ),
  };
}

/**
 * @param {number | undefined} maxPacketLifeTime
 * @param {number | undefined} maxRetransmits
 */
function rejectTwoLimits(maxPacketLifeTime, maxRetransmits) {
  if (maxPacketLifeTime !== undefined && maxRetransmits !== undefined) {
    throw new TypeError(
      'cannot provide both maxPacketLifeTime and maxRetransmits ' +
        validate.got(maxPacketLifeTime, maxRetransmits),
    );
  }
}

/**
 * @param {string} method
 * @param {Record<string, any>} given
 * @param {string[]} names
 */
function warnIfIgnored(method, given, names) {
  const ignored = names.filter((name) => validate.given(given[name]));

  if (ignored.length > 0) {
    logger.warnOnce(`${method}: ${ignored.join(', ')} ignored on a DirectTransport`);
  }
}

module.exports = {
  MAX_HELD_OF_PEER,
  parseDataProducerOptions,
  parseDataConsumerOptions,
  parseMaxBufferedAmount,
  parseMoveOptions,
  parseOverflow,
};
