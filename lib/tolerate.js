'use strict';

/**
 * Makes a request whose promise counts as handled if it rejects for another reason than invalid arguments: a peer may
 * leave or stop reading at any time, which must not end the process of an application that does not await the call.
 *
 * @template R, T
 * @param {() => Promise<R>} request - checks the arguments, and makes the request.
 * @param {(result: R) => T} done - called with the answer, returns the result.
 * @returns {Promise<T>} settles as soon as that of an async method, so that calls settle in their order.
 */
function tolerate(request, done) {
  /**
   * Not set while `request` runs: what it throws is about arguments.
   *
   * @type {Promise<T> | undefined}
   */
  let promise;

  promise = attempt(request, done, () => promise?.catch(() => {}));
  return promise;
}

/**
 * @template R, T
 * @param {() => Promise<R>} request
 * @param {(result: R) => T} done
 * @param {() => void} onTolerable - called before the promise rejects.
 * @returns {Promise<T>}
 */
async function attempt(request, done, onTolerable) {
  try {
    return done(await request());
  } catch (error) {
    if (!(error instanceof TypeError)) {
      onTolerable();
    }
    throw error;
  }
}

exports.tolerate = tolerate;
