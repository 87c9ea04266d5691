'use strict';

// npm run robustness -- PROGRAM [options]
//
// PROGRAM is one of programs, listeners, cycles, floods, limits, busy, slow, networks, files, soak, faults, pairs,
// room, scrape, takes. PROGRAM --help prints its purpose and its options. IMPL=PATH tests another build of the package.

const path = require('node:path');

const { refuse, usageOf } = require('../scripts/options');

const PROGRAMS = [
  'programs',
  'listeners',
  'cycles',
  'floods',
  'limits',
  'busy',
  'slow',
  'networks',
  'files',
  'soak',
  'faults',
  'pairs',
  'room',
  'scrape',
  'takes',
];

async function main() {
  const [program = '', ...args] = process.argv.slice(2);

  if (['--help', '-h'].includes(program)) {
    return console.log(usageOf(__filename));
  }
  if (!PROGRAMS.includes(program)) {
    refuse(`PROGRAM must be one of ${PROGRAMS.join(', ')} (got '${program}')`);
  }

  const file = path.join(__dirname, `${program}.js`);

  process.argv = [process.argv[0], file, ...args];
  await require(file).main();
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
