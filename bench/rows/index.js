'use strict';

// All rows, in the order of the table.

/** @type {import('../types').Row[]} */
module.exports = [
  ...require('./direct'),
  ...require('./pingPong'),
  ...require('./fanOut'),
  ...require('./fanIn'),
  ...require('./connect'),
  ...require('./idle'),
  ...require('./latency'),
  ...require('./pipe'),
  ...require('./cluster'),
  ...require('./webRtcTransport'),
  ...require('./scale'),
];
