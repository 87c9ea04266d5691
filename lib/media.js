'use strict';

const { Logger } = require('./Logger');
const validate = require('./validate');

// What is left of media: applications that come from mediasoup may name codecs, and learn that there are none.

const logger = new Logger('media');

/** @returns {import('..').RtpCapabilities} */
function emptyRtpCapabilities() {
  return { codecs: [], headerExtensions: [] };
}

/**
 * @param {unknown} mediaCodecs
 * @param {string} method
 */
function checkMediaCodecs(mediaCodecs, method) {
  if (validate.array(mediaCodecs, 'mediaCodecs').length > 0) {
    logger.warn(`${method}: mediaCodecs are ignored, datasoup routes data, not media`);
  }
}

exports.emptyRtpCapabilities = emptyRtpCapabilities;
exports.checkMediaCodecs = checkMediaCodecs;
