'use strict';

const { once } = require('node:events');

const { Entity, coreOf } = require('./Entity');
const { NotFoundError } = require('./errors');
const validate = require('./options/validate');

/**
 * The events that end an entity, and the getter that says that they were emitted.
 *
 * @type {Record<string, string>}
 */
const LAST = { close: 'closed', subprocessclose: 'subprocessClosed' };

/** @type {(emitter: any, eventName: string, options?: { signal?: AbortSignal }) => Promise<any>} */
async function enhancedOnce(emitter, eventName, options) {
  const entity = emitter instanceof Entity ? emitter : undefined;

  if (Object.hasOwn(LAST, eventName)) {
    return entity && emitter[LAST[eventName]] ? [] : once(emitter, eventName, options);
  }

  const signal = validate.optionalSignal(options?.signal, 'signal');
  const stop = new AbortController();
  const forward = () => stop.abort(signal?.reason);
  let closed = entity?.closed ?? false;
  const onClose = () => {
    closed = true;
    stop.abort();
  };

  if (closed) {
    throw closedBefore(entity, eventName);
  }
  emitter.once('close', onClose);
  if (signal?.aborted) {
    forward();
  }
  signal?.addEventListener('abort', forward);
  try {
    return await once(emitter, eventName, { signal: stop.signal });
  } catch (error) {
    throw closed ? closedBefore(entity, eventName) : error;
  } finally {
    emitter.off('close', onClose);
    signal?.removeEventListener('abort', forward);
  }
}

/**
 * @param {Entity<any, any, any> | undefined} entity - undefined for an observer, or an emitter of the application.
 * @param {string} eventName
 */
function closedBefore(entity, eventName) {
  return new NotFoundError(
    entity
      ? `the ${coreOf(entity).name} closed before it emitted '${eventName}'`
      : `'close' was emitted before '${eventName}'`,
  );
}

exports.enhancedOnce = /** @type {typeof import('..').extras.enhancedOnce} */ (enhancedOnce);
