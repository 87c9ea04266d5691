'use strict';

// The data half of a WebRTC SFU: index.d.ts says what it does, docs/ARCHITECTURE.md how. `lib/` is where it begins.

module.exports = require('./lib');
