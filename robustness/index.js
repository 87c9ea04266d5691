'use strict';

// npm run robustness -- PROGRAM [options]
//
// Each program says in its file what it shows and which options it takes. IMPL=PATH runs cycles, programs and soak with
// another build of the package.

const path = require('node:path');

/** @type {Record<string, string>} */
const programs = {
  cycles: 'cycles.js',
  floods: 'suite.js',
  programs: 'programs.js',
  slow: 'suite.js',
  soak: 'soak.js',
};

const [program = '', ...args] = process.argv.slice(2);

if (!Object.hasOwn(programs, program)) {
  console.error(`npm run robustness -- ${Object.keys(programs).join('|')} [options]`);
  process.exit(2);
}

const file = path.join(__dirname, programs[program]);

// Both suites are run by the same program, which takes its name as an argument.
process.argv = [
  process.argv[0],
  file,
  ...(programs[program] === 'suite.js' ? [program] : []),
  ...args,
];
require(file);
