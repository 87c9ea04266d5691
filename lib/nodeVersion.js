'use strict';

// Refuses a Node.js that is too old. It is required first and written so that such a Node.js can parse it, because the
// other files would only cause a SyntaxError.

const { engines } = require('../package.json');

const oldest = engines.node.replace('>=', '');

if (isBefore(parts(process.versions.node), parts(oldest))) {
  throw new Error(
    'datasoup needs Node.js ' + oldest + ' or later; this is ' + process.versions.node,
  );
}

/** @param {string} version */
function parts(version) {
  return version.split('.').map((part) => parseInt(part, 10));
}

/**
 * @param {number[]} version
 * @param {number[]} other
 */
function isBefore(version, other) {
  const place = other.findIndex((part, index) => part !== version[index]);

  return place !== -1 && version[place] < other[place];
}
