'use strict';

const { isEntity } = require('../Entity');
const { mediaUnsupported } = require('../errors');
const { parseOverflow } = require('./data');
const { parseUdpListenInfo } = require('./listenInfo');
const { parseSctpOverUdpOptions } = require('./sctp');
const { checkSrtp } = require('./transport');
const validate = require('./validate');

/** Where the two PipeTransports listen by default. */
const LISTEN_IP = '127.0.0.1';

/** @typedef {import('../Router').Router<any>} Router */

/**
 * @typedef {object} PipeToRouterOptions
 * @property {string} dataProducerId
 * @property {Router} router - the router to pipe to.
 * @property {boolean} keepId
 * @property {import('../..').DataConsumerOverflow} [overflow]
 * @property {number} [maxBufferedAmount] - in bytes.
 * @property {ReturnType<typeof import('./transport').parsePipeTransportOptions>} transport - the options of both
 * PipeTransports.
 */

/**
 * @param {Record<string, any>} given
 * @param {Router} from
 * @returns {PipeToRouterOptions}
 */
function parsePipeToRouterOptions(given, from) {
  const dataProducerId = parseDataProducerId(given);
  const router = parseRouter(given, from);

  // The router is checked first: a wrong router is a TypeError for any kind of producer.
  if (dataProducerId === undefined) {
    throw mediaUnsupported('producerId');
  }
  return {
    dataProducerId,
    router,
    keepId: validate.boolean(given.keepId, 'keepId', true),
    overflow: validate.given(given.overflow) ? parseOverflow(given.overflow) : undefined,
    maxBufferedAmount: validate.optionalInteger(given.maxBufferedAmount, 'maxBufferedAmount'),
    transport: parseTransportOptions(given),
  };
}

/**
 * Like `parsePipeTransportOptions()`, but listens on 127.0.0.1 and enables SCTP by default. `port` is ignored, because
 * both transports would bind it.
 *
 * @param {Record<string, any>} given
 * @returns {PipeToRouterOptions['transport']}
 */
function parseTransportOptions(given) {
  const { listenInfo, listenIp } = given;
  const byDefault = !validate.given(listenInfo) && !validate.given(listenIp);
  const parsed = {
    listenInfo: parseUdpListenInfo({ listenInfo, listenIp: byDefault ? LISTEN_IP : listenIp }),
    // Nothing leaves the process.
    enableDtls: false,
    sctp: parseSctpOverUdpOptions(given, true),
  };

  checkSrtp(given, parsed.sctp);
  return parsed;
}

/**
 * @param {Record<string, any>} given
 * @returns {string | undefined} undefined if `producerId` is given instead.
 */
function parseDataProducerId(given) {
  const producerId = validate.string(given.producerId, 'producerId', undefined);
  const dataProducerId = validate.string(given.dataProducerId, 'dataProducerId', undefined);

  if (producerId && dataProducerId) {
    throw new TypeError(
      `producerId and dataProducerId cannot both be given ${validate.got(producerId, dataProducerId)}`,
    );
  }
  if (!producerId && !dataProducerId) {
    throw validate.missing('producerId or dataProducerId', given);
  }
  return dataProducerId || undefined;
}

/**
 * @param {Record<string, any>} given
 * @param {Router} from
 * @returns {Router}
 */
function parseRouter({ router }, from) {
  if (!validate.given(router)) {
    throw validate.missing('router', router);
  }
  if (!isEntity(router, 'router')) {
    throw validate.wrongEntity('router', router, 'a Router');
  }
  if (router === from) {
    throw new TypeError(`cannot use this Router as the destination ${validate.got(router)}`);
  }
  return /** @type {Router} */ (router);
}

module.exports = { parsePipeToRouterOptions };
