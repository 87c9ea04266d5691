'use strict';

const validate = require('./validate');

/**
 * @typedef {object} SctpOptions - Rust's `SctpOptions`; sizes are in bytes.
 * @property {number} maxSendMessageSize
 * @property {number} maxReceiveMessageSize
 * @property {number} sendBufferSize
 * @property {number} perStreamSendQueueLimit
 * @property {number} maxReceiverWindowBufferSize
 * @property {number} bufferedAmountLowThreshold
 * @property {import('../..').SctpCongestionControl} congestionControl
 * @property {number} [silence] - in milliseconds; for transports without ICE only.
 */

const MAX_MESSAGE_SIZE = 262_144;
const SEND_BUFFER_SIZE = 2_000_000;
const PER_STREAM_SEND_QUEUE_LIMIT = 2_000_000;
const MAX_RECEIVER_WINDOW_BUFFER_SIZE = 5_242_880;
const BUFFERED_AMOUNT_LOW_THRESHOLD = 1024;
/** @type {import('../..').SctpCongestionControl[]} */
const CONGESTION_CONTROLS = ['cubic', 'newreno', 'bbr'];
const SILENCE = 55_000;
const MIN_SILENCE = 1000;

/**
 * Parses the SCTP options of a transport. All options are checked, even if SCTP is not enabled.
 *
 * @param {Record<string, any>} given
 * @param {boolean} [byDefault] - whether SCTP is enabled if `enableSctp` is not given.
 * @returns {SctpOptions | undefined} undefined if SCTP is not enabled.
 */
function parseSctpOptions(given, byDefault = false) {
  const { maxSendMessageSize, maxReceiveMessageSize } = parseMessageSizes(
    given,
    'maxSctpMessageSize',
  );
  const parsed = {
    maxSendMessageSize,
    maxReceiveMessageSize,
    sendBufferSize: parseSize(given, 'sctpSendBufferSize', SEND_BUFFER_SIZE),
    perStreamSendQueueLimit: parseSize(
      given,
      'sctpPerStreamSendQueueLimit',
      PER_STREAM_SEND_QUEUE_LIMIT,
    ),
    maxReceiverWindowBufferSize: parseSize(
      given,
      'sctpMaxReceiverWindowBufferSize',
      MAX_RECEIVER_WINDOW_BUFFER_SIZE,
    ),
    bufferedAmountLowThreshold: parseSize(
      given,
      'sctpDefaultStreamBufferedAmountLowThreshold',
      BUFFERED_AMOUNT_LOW_THRESHOLD,
    ),
    congestionControl: validate.oneOf(
      given.sctpCongestionControl ?? 'cubic',
      'sctpCongestionControl',
      CONGESTION_CONTROLS,
    ),
  };

  checkNumSctpStreams(given.numSctpStreams);
  return validate.boolean(given.enableSctp, 'enableSctp', byDefault) ? parsed : undefined;
}

/**
 * Like `parseSctpOptions()`, for transports without ICE, where SCTP itself notices that the peer is gone.
 *
 * @param {Record<string, any>} given
 * @param {boolean} [byDefault]
 * @returns {SctpOptions | undefined}
 */
function parseSctpOverUdpOptions(given, byDefault) {
  const sctp = parseSctpOptions(given, byDefault);
  const silence = validate.integer(
    given.sctpSilence ?? SILENCE,
    'sctpSilence',
    undefined,
    MIN_SILENCE,
  );

  return sctp && { ...sctp, silence };
}

/**
 * Parses the sizes of the largest message in either direction, in bytes. The older option sets both sizes.
 *
 * @param {Record<string, any>} given
 * @param {'maxSctpMessageSize' | 'maxMessageSize'} older
 */
function parseMessageSizes(given, older) {
  const size = parseSize(given, older, MAX_MESSAGE_SIZE);

  return {
    maxSendMessageSize: parseSize(given, 'maxSendMessageSize', size),
    maxReceiveMessageSize: parseSize(given, 'maxReceiveMessageSize', size),
  };
}

/**
 * @param {Record<string, any>} given
 * @param {string} name
 * @param {number} fallback
 */
function parseSize(given, name, fallback) {
  return validate.optionalInteger(given[name], name) ?? fallback;
}

/**
 * Checks `numSctpStreams`, an older option without effect, so that a wrong value is still rejected.
 *
 * @param {unknown} value
 */
function checkNumSctpStreams(value) {
  const { OS, MIS } = validate.object(value, 'numSctpStreams');

  validate.optionalInteger(OS, 'numSctpStreams.OS', validate.MAX_UINT16);
  validate.optionalInteger(MIS, 'numSctpStreams.MIS', validate.MAX_UINT16);
}

module.exports = { parseSctpOptions, parseSctpOverUdpOptions, parseMessageSizes };
