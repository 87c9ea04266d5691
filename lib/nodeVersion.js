'use strict';

// Refuses a Node.js that is too old. It is required first and written so that such a Node.js can parse it, because the
// other files would only cause a SyntaxError.

const { engines } = require('../package.json');

const oldest = Number(engines.node.replace('>=', ''));

if (parseInt(process.versions.node, 10) < oldest) {
  throw new Error(
    'datasoup needs Node.js ' + oldest + ' or later; this is ' + process.versions.node,
  );
}
