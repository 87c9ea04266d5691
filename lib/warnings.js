'use strict';

const process = require('node:process');
const { inspect } = require('node:util');

/** The most characters of a thrown value that a text shows. */
const MAX_TEXT = 4_096;

/**
 * Emits a warning of the process, which Node.js prints on stderr unless it runs with --no-warnings. Never throws.
 *
 * @param {string} text
 * @param {string} [code]
 * @param {string} [detail] - printed below the text.
 */
function warn(text, code, detail) {
  try {
    process.emitWarning(text, { type: 'DatasoupWarning', code, detail });
  } catch {
    // The application has replaced emitWarning().
  }
}

/**
 * Shows a thrown value, which may be anything: an error with its stack. Never throws.
 *
 * @param {unknown} thrown
 * @returns {string}
 */
function textOf(thrown) {
  try {
    return inspect(thrown, { depth: 1, maxArrayLength: 16, maxStringLength: 1_024 }).slice(
      0,
      MAX_TEXT,
    );
  } catch {
    return '(the thrown value cannot be shown)';
  }
}

exports.warn = warn;
exports.textOf = textOf;
