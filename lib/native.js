'use strict';

const { existsSync, readdirSync } = require('node:fs');
const path = require('node:path');

// Loads the addon. An error says what to do, because the text of the generated loader is about npm.

const ROOT = path.join(__dirname, '..');
const FOLDER = path.join(ROOT, 'native');

module.exports = load();

/** @returns {typeof import('../native/binding')} */
function load() {
  try {
    return require('../native/binding.js');
  } catch (error) {
    throw new Error(`cannot load the addon of datasoup: ${reason(error)}. ${remedy()}`, {
      cause: error,
    });
  }
}

/** @param {unknown} error */
function reason(error) {
  const names = existsSync(FOLDER) ? readdirSync(FOLDER) : [];
  const addons = names.filter((name) => name.endsWith('.node'));

  return addons.length > 0
    ? `${addons.join(', ')} does not load on ${process.platform}-${process.arch}: ${firstMessage(error)}`
    : `there is no .node file in ${FOLDER}`;
}

/**
 * The loader tries several files, and links its errors in reverse order: the first one is the deepest cause.
 *
 * @param {unknown} error
 * @returns {string}
 */
function firstMessage(error) {
  const { message, cause } = /** @type {Error} */ (error);

  return cause ? firstMessage(cause) : message;
}

function remedy() {
  return existsSync(path.join(ROOT, 'Cargo.toml'))
    ? `Run \`npm run build\` in ${ROOT}; it needs Rust`
    : 'Install datasoup again with `npm install`, from a package that `npm pack` made on such a platform';
}
