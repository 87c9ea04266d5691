'use strict';

const { isEntity } = require('../Entity');
const { mediaUnsupported } = require('../errors');
const { parsePipeTransportOptions } = require('./transport');
const validate = require('./validate');

/** @typedef {import('../Router').Router<any>} Router */

/**
 * @typedef {object} PipeToRouterOptions
 * @property {string} dataProducerId
 * @property {Router} router - the one to pipe to.
 * @property {boolean} keepId
 * @property {ReturnType<typeof parsePipeTransportOptions>} transport - the options of both PipeTransports.
 */

/**
 * @param {Record<string, any>} given
 * @param {Router} from
 * @returns {PipeToRouterOptions}
 */
function parsePipeToRouterOptions(given, from) {
  const { listenInfo, listenIp } = given;
  const byDefault = !validate.given(listenInfo) && !validate.given(listenIp);

  return {
    dataProducerId: parseDataProducerId(given),
    router: parseRouter(given, from),
    keepId: validate.boolean(given.keepId, true),
    // `port` is ignored, because both transports would bind it.
    transport: parsePipeTransportOptions({
      ...given,
      listenIp: byDefault ? '127.0.0.1' : listenIp,
      port: undefined,
      enableSctp: validate.boolean(given.enableSctp, true),
    }),
  };
}

/**
 * @param {Record<string, any>} given
 * @returns {string}
 */
function parseDataProducerId(given) {
  const producerId = validate.string(given.producerId, 'producerId', undefined);
  const dataProducerId = validate.string(given.dataProducerId, 'dataProducerId', undefined);

  if (producerId && dataProducerId) {
    throw new TypeError('producerId and dataProducerId cannot both be given');
  }
  if (producerId) {
    throw mediaUnsupported('producerId');
  }
  if (!dataProducerId) {
    throw new TypeError('missing producerId or dataProducerId');
  }
  return dataProducerId;
}

/**
 * @param {Record<string, any>} given
 * @param {Router} from
 * @returns {Router}
 */
function parseRouter({ router }, from) {
  if (!validate.given(router)) {
    throw new TypeError('missing router');
  }
  if (!isEntity(router, 'router')) {
    throw validate.wrong('router', router, 'a Router');
  }
  if (router === from) {
    throw new TypeError('cannot use this Router as destination');
  }
  return /** @type {Router} */ (router);
}

module.exports = { parsePipeToRouterOptions };
