'use strict';

// npm run robustness -- PROGRAM [options]
//
// Each program is a file of this folder that says itself what it shows and which options it takes. IMPL=PATH measures
// another build of the package.

const fs = require('node:fs');
const path = require('node:path');

const [program = '', ...args] = process.argv.slice(2);
const file = path.join(__dirname, `${path.basename(program)}.js`);

if (program === '' || program === 'index' || !fs.existsSync(file)) {
  console.error('npm run robustness -- PROGRAM [options]: see robustness/');
  process.exit(2);
}
process.argv = [process.argv[0], file, ...args];
require(file);
