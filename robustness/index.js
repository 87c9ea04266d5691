'use strict';

// npm run robustness -- PROGRAM [options]
//
// PROGRAM is one of programs, cycles, floods, slow, soak: a file of this folder that says itself what it shows and
// which options it takes, as does PROGRAM --help. IMPL=PATH measures another build of the package.

const path = require('node:path');

const { refuse, usageOf } = require('../scripts/options');

const PROGRAMS = ['programs', 'cycles', 'floods', 'slow', 'soak'];

const [program = '', ...args] = process.argv.slice(2);

if (['--help', '-h'].includes(program)) {
  console.log(usageOf(__filename));
} else if (PROGRAMS.includes(program)) {
  const file = path.join(__dirname, `${program}.js`);

  process.argv = [process.argv[0], file, ...args];
  require(file);
} else {
  refuse(`PROGRAM must be one of ${PROGRAMS.join(', ')} (got '${program}')`);
}
