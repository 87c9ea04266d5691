'use strict';

/** @type {import('..').Row[]} */
module.exports = [
  ...require('./direct'),
  ...require('./pingPong'),
  ...require('./fanOut'),
  ...require('./fanIn'),
  ...require('./connect'),
  ...require('./pipe'),
  ...require('./webRtcTransport'),
];
