'use strict';

// npm run robustness -- floods [--only=REGEX] [--seconds=N] [--rounds=N] [--json] [--list]
//
// One attacker at full speed, in a process of its own, and what a well-behaved peer of the same worker notices of it. The
// server is kept on one core, the peer and the attacker share another, and the attacker is the nicer one.

require('./load/run').run(require.resolve('./load/floods'));
