'use strict';

// Command-line options of the programs of bench/, robustness/ and scripts/. `--help` prints a program's first comment.

const fs = require('node:fs');
const { parseArgs } = require('node:util');

/**
 * @typedef {object} Option
 * @property {'boolean' | 'string' | 'pattern' | 'number' | 'integer'} type - numbers are positive.
 * @property {number} [min] - of an integer; 1 if it is not given.
 * @property {any} [default]
 */

/**
 * Parses the command line. Exits with status 0 after `--help`, and with 2 after an error.
 *
 * @param {Record<string, Option>} options
 * @returns {any} the values of the options, by name.
 */
function readOptions(options) {
  try {
    const { help, ...values } = parse(options);

    if (help) {
      console.log(usageOf(require.resolve(process.argv[1])));
      process.exit(0);
    }
    return Object.fromEntries(
      Object.entries(options).map(([name, option]) => [name, valueOf(name, option, values[name])]),
    );
  } catch (error) {
    refuse(/** @type {Error} */ (error).message);
  }
}

/**
 * Reports an error in the command line, and exits with status 2.
 *
 * @param {string} why
 * @returns {never}
 */
function refuse(why) {
  console.error(why);
  process.exit(2);
}

/**
 * The first comment of a program.
 *
 * @param {string} file
 */
function usageOf(file) {
  const [comment] = /^(\/\/.*\n)+/m.exec(fs.readFileSync(file, 'utf8')) ?? [''];

  return comment.replace(/^\/\/ ?/gm, '').trimEnd();
}

/**
 * @param {Record<string, Option>} options
 * @returns {Record<string, any>}
 */
function parse(options) {
  const known = Object.entries(options).map(([name, { type }]) => [
    name,
    { type: type === 'boolean' ? type : 'string' },
  ]);

  return parseArgs({
    options: { ...Object.fromEntries(known), help: { type: 'boolean', short: 'h' } },
  }).values;
}

/**
 * @param {string} name
 * @param {Option} option
 * @param {any} given
 */
function valueOf(name, { type, min = 1, default: otherwise }, given) {
  if (given === undefined) {
    return otherwise;
  }

  const number = given === '' ? NaN : Number(given);
  const wrong = (/** @type {string} */ what) =>
    new TypeError(`--${name} must be ${what} (got '${given}')`);

  if (type === 'number' && !(number > 0)) {
    throw wrong('a number above 0');
  }
  if (type === 'integer' && !(Number.isSafeInteger(number) && number >= min)) {
    throw wrong(`an integer from ${min}`);
  }
  if (type === 'pattern') {
    try {
      return new RegExp(given);
    } catch {
      throw wrong('a regular expression');
    }
  }
  return type === 'number' || type === 'integer' ? number : given;
}

exports.readOptions = readOptions;
exports.refuse = refuse;
exports.usageOf = usageOf;
