'use strict';

const validate = require('./validate');

/**
 * The reliability of a stream, as given.
 *
 * @param {Record<string, any>} options
 * @param {string} [prefix] - of the names.
 * @returns {{ ordered?: boolean, maxPacketLifeTime?: number, maxRetransmits?: number }}
 */
function parseReliability(options, prefix = '') {
  return {
    ordered: validate.boolean(options.ordered, undefined),
    maxPacketLifeTime: validate.optionalInteger(
      options.maxPacketLifeTime,
      `${prefix}maxPacketLifeTime`,
      validate.MAX_UINT16,
    ),
    maxRetransmits: validate.optionalInteger(
      options.maxRetransmits,
      `${prefix}maxRetransmits`,
      validate.MAX_UINT16,
    ),
  };
}

/**
 * The parameters of a DataProducer's stream, completed. A limit, and 0 is one, makes it unordered.
 *
 * @param {unknown} value
 * @returns {import('..').SctpStreamParameters}
 */
function parseSctpStreamParameters(value) {
  const name = 'sctpStreamParameters';

  if (!validate.given(value)) {
    throw new TypeError(`missing ${name}`);
  }

  const options = validate.object(value, name);
  const streamId = validate.integer(options.streamId, `${name}.streamId`, validate.MAX_STREAM_ID);
  const { ordered, maxPacketLifeTime, maxRetransmits } = parseReliability(options, `${name}.`);
  const limited = maxPacketLifeTime !== undefined || maxRetransmits !== undefined;

  if (maxPacketLifeTime !== undefined && maxRetransmits !== undefined) {
    throw new TypeError('cannot provide both maxPacketLifeTime and maxRetransmits');
  }
  if (ordered && limited) {
    throw new TypeError('cannot be ordered with maxPacketLifeTime or maxRetransmits');
  }
  return { streamId, ordered: ordered ?? !limited, maxPacketLifeTime, maxRetransmits };
}

/**
 * What a DataConsumer is to have otherwise than its DataProducer; the worker knows that one.
 *
 * @param {Record<string, any>} options - of `consumeData()`.
 */
function parseReliabilityOverrides(options) {
  const { ordered, ...limits } = parseReliability(options);

  if (ordered) {
    return { ordered };
  }
  if (limits.maxPacketLifeTime !== undefined && limits.maxRetransmits !== undefined) {
    throw new TypeError('cannot provide both maxPacketLifeTime and maxRetransmits');
  }
  return { ordered, ...limits };
}

exports.parseSctpStreamParameters = parseSctpStreamParameters;
exports.parseReliabilityOverrides = parseReliabilityOverrides;
