'use strict';

// npm run robustness -- slow [--seconds=N] [--rounds=N] [--json]
//
// One DataProducer, 200 WebRTC clients, 5 of them frozen (SIGSTOP) every other time: what the others notice of it.

require('./load/run').run(require.resolve('./load/slow'));
