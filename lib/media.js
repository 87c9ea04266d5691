'use strict';

const { Logger } = require('./Logger');
const validate = require('./options/validate');

// Applications written for mediasoup may name codecs. They are accepted and ignored, so that such an application runs
// without changes.

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
    logger.warnOnce(`${method}: mediaCodecs are ignored, datasoup routes data, not media`);
  }
}

exports.emptyRtpCapabilities = emptyRtpCapabilities;
exports.checkMediaCodecs = checkMediaCodecs;
