'use strict';

const validate = require('./validate');

/**
 * @typedef {object} NativeSctpOptions - as the worker wants them, all in bytes.
 * @property {number} maxSendMessageSize
 * @property {number} maxReceiveMessageSize
 * @property {number} sendBufferSize
 * @property {number} perStreamSendQueueLimit
 * @property {number} maxReceiverWindowBufferSize
 * @property {number} bufferedAmountLowThreshold
 */

const MAX_MESSAGE_SIZE = 262_144;

/**
 * The largest messages of a transport, either way. An older spelling has one size for both.
 *
 * @param {Record<string, any>} options
 * @param {string} older - the name of that one.
 */
function parseMessageSizes(options, older) {
  const size = validate.optionalInteger(options[older], older) ?? MAX_MESSAGE_SIZE;
  const { maxSendMessageSize, maxReceiveMessageSize } = options;

  return {
    maxSendMessageSize: validate.optionalInteger(maxSendMessageSize, 'maxSendMessageSize') ?? size,
    maxReceiveMessageSize:
      validate.optionalInteger(maxReceiveMessageSize, 'maxReceiveMessageSize') ?? size,
  };
}

/**
 * The SCTP options of a transport.
 *
 * @param {Record<string, any>} options - of `createXTransport()`.
 * @returns {NativeSctpOptions | undefined} undefined without `enableSctp`.
 */
function parseSctpOptions(options) {
  const sizes = parseMessageSizes(options, 'maxSctpMessageSize');
  const parsed = {
    maxSendMessageSize: sizes.maxSendMessageSize,
    maxReceiveMessageSize: sizes.maxReceiveMessageSize,
    sendBufferSize: size(options, 'sctpSendBufferSize', 2_000_000),
    perStreamSendQueueLimit: size(options, 'sctpPerStreamSendQueueLimit', 2_000_000),
    maxReceiverWindowBufferSize: size(options, 'sctpMaxReceiverWindowBufferSize', 5_242_880),
    bufferedAmountLowThreshold: size(options, 'sctpDefaultStreamBufferedAmountLowThreshold', 1024),
  };

  checkNumSctpStreams(options.numSctpStreams);
  return validate.boolean(options.enableSctp, false) ? parsed : undefined;
}

/**
 * @param {Record<string, any>} options
 * @param {string} name
 * @param {number} fallback
 */
function size(options, name, fallback) {
  return validate.optionalInteger(options[name], name) ?? fallback;
}

/**
 * An older spelling. All streams can be used, whatever it says.
 *
 * @param {unknown} value
 */
function checkNumSctpStreams(value) {
  const { OS, MIS } = validate.object(value, 'numSctpStreams');

  validate.optionalInteger(OS, 'numSctpStreams.OS', validate.MAX_UINT16);
  validate.optionalInteger(MIS, 'numSctpStreams.MIS', validate.MAX_UINT16);
}

exports.parseMessageSizes = parseMessageSizes;
exports.parseSctpOptions = parseSctpOptions;
