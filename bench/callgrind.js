'use strict';

// Builds a bench of Cargo, runs it in callgrind and reads the counts.

const { execFile } = require('node:child_process');
const { mkdtempSync, readFileSync, rmSync } = require('node:fs');
const { tmpdir } = require('node:os');
const path = require('node:path');
const { promisify } = require('node:util');

const { buildProgram } = require('./processes/cargo');

/**
 * Builds a bench like the released addon, but with symbols.
 *
 * @param {string} bench
 * @param {Parameters<typeof buildProgram>[4]} [cargo]
 * @returns {string} the path of the program.
 */
function build(bench, cargo) {
  return buildProgram('bench', bench, 'profiling', ['--no-default-features'], cargo);
}

/**
 * Runs a program in callgrind, which counts within functions whose names contain `measured`.
 *
 * @param {string} program
 * @param {string[]} args
 * @param {number} timeout - in ms.
 * @returns {Promise<{ counts: string, stdout: string }>} callgrind's file, and the output of the program.
 */
async function callgrind(program, args, timeout) {
  const directory = mkdtempSync(path.join(tmpdir(), 'callgrind-'));
  const out = path.join(directory, 'out');
  const options = [
    '--tool=callgrind',
    '--toggle-collect=*measured*',
    `--callgrind-out-file=${out}`,
  ];

  try {
    const run = promisify(execFile)('valgrind', [...options, program, ...args], { timeout });
    const { stdout } = await run;

    return { counts: readFileSync(out, 'utf8'), stdout };
  } finally {
    rmSync(directory, { recursive: true });
  }
}

/**
 * Parses callgrind's file (https://valgrind.org/docs/manual/cl-format.html): calls `each` for every line of code.
 *
 * @param {string} counts
 * @param {(file: string, fn: string, object: string, cost: number) => void} each
 */
function parse(counts, each) {
  /** @type {Map<string, string>} */
  const names = new Map();
  // The format compresses names: a name follows its number where the number first occurs, and later the number alone
  // stands for the name.
  const resolve = (/** @type {'file' | 'fn' | 'ob'} */ kind, /** @type {string} */ value) => {
    const [, id, name] = /^(\(\d+\))(?: (.*))?$/.exec(value) ?? [];

    if (name !== undefined) names.set(kind + id, name);
    return names.get(kind + id) ?? '';
  };
  let object = '';
  let file = '';
  let fn = '';
  let called = false;

  for (const line of counts.split('\n')) {
    const [, key, value] = /^(\w+)=(.*)$/.exec(line) ?? [];

    if (key === 'ob') object = resolve('ob', value);
    else if (key === 'cob') resolve('ob', value);
    else if (key === 'fl' || key === 'fi' || key === 'fe') file = resolve('file', value);
    else if (key === 'cfi' || key === 'cfl') resolve('file', value);
    else if (key === 'fn') fn = resolve('fn', value);
    else if (key === 'cfn') resolve('fn', value);
    else if (key === 'calls') called = true;
    else if (/^[+\-*\d]/.test(line)) {
      // The line after `calls=` has the cost of the callee.
      if (!called) each(file, fn, object, Number(line.split(' ')[1]));
      called = false;
    }
  }
}

module.exports = { build, callgrind, parse };
