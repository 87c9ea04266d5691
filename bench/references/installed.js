'use strict';

// Packages that some references need and this package does not: from its node_modules, or from those of the folder
// BENCH_MODULES.

const path = require('node:path');

/**
 * @param {string} name
 * @returns {string | undefined} the path of the package's main file; undefined if it is not installed.
 */
function find(name) {
  const { BENCH_MODULES } = process.env;
  const paths = [__dirname, ...(BENCH_MODULES ? [path.resolve(BENCH_MODULES)] : [])];

  try {
    return require.resolve(name, { paths });
  } catch {
    return undefined;
  }
}

/**
 * @param {string} name
 * @returns {any} undefined if it is not installed.
 */
function installed(name) {
  const file = find(name);

  return file === undefined ? undefined : require(file);
}

exports.find = find;
exports.installed = installed;
