'use strict';

// mediasoup, or the stub if mediasoup is not installed. Your application needs only `require('mediasoup')`.

/**
 * A variable, so that nothing looks for mediasoup before the example runs: it is not a dependency of this repository.
 */
const NAME = 'mediasoup';

function load() {
  try {
    return { mediasoup: require(NAME), isStub: false };
  } catch (error) {
    if (error.code !== 'MODULE_NOT_FOUND') throw error;

    return { mediasoup: require('./stub'), isStub: true };
  }
}

module.exports = load();
