'use strict';

/** @type {import('..').Row[]} */
module.exports = [
  ...require('./direct'),
  ...require('./pingPong'),
  ...require('./fanOut'),
  ...require('./fanIn'),
  ...require('./connect'),
  ...require('./idle'),
  ...require('./latency'),
  ...require('./pipe'),
  ...require('./webRtcTransport'),
  ...require('./scale'),
];
