'use strict';

// The data half of a WebRTC SFU. index.d.ts describes its API, docs/ARCHITECTURE.md how it works; lib/ is the code.

require('./lib/nodeVersion');

module.exports = require('./lib');
