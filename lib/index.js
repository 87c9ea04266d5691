'use strict';

const { EnhancedEventEmitter, emitSafely } = require('./EnhancedEventEmitter');
const { Logger, setLogEventListeners } = require('./Logger');
const { Worker } = require('./Worker');
const { enhancedOnce } = require('./enhancedOnce');
const { NotFoundError, UnsupportedError, WorkerClosedError } = require('./errors');
const { emptyRtpCapabilities } = require('./media');
const { version } = require('../package.json');

const logger = new Logger();

/** @type {import('..').Observer} */
const observer = new EnhancedEventEmitter();

/** @type {typeof import('..').createWorker} */
async function createWorker(settings) {
  logger.debug('createWorker()');

  const worker = await Worker.create(settings);

  emitSafely(observer, 'newworker', [worker], 'datasoup');
  return worker;
}

/** @satisfies {typeof import('..')} */
module.exports = {
  version,
  observer,
  createWorker,
  setLogEventListeners,
  getSupportedRtpCapabilities: emptyRtpCapabilities,
  errors: { UnsupportedError, WorkerClosedError, NotFoundError },
  extras: { EnhancedEventEmitter, enhancedOnce },
};
