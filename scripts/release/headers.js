'use strict';

const { readFileSync } = require('node:fs');

/** By the number in the header. @type {Record<string, Map<number, string>>} */
const PROCESSORS = {
  linux: new Map([
    [62, 'x64'],
    [183, 'arm64'],
  ]),
  darwin: new Map([
    [0x01000007, 'x64'],
    [0x0100000c, 'arm64'],
  ]),
  win32: new Map([
    [0x8664, 'x64'],
    [0xaa64, 'arm64'],
  ]),
};

/**
 * The system and the processor that a binary is for, as in the names of packages: `linux-x64`.
 * @param {string} file
 */
function systemOf(file) {
  const bytes = readFileSync(file);
  const name = (/** @type {string} */ system, /** @type {number} */ processor) =>
    `${system}-${PROCESSORS[system]?.get(processor) ?? processor}`;

  if (bytes.length < 64) return 'nothing';
  if (bytes.readUInt32BE(0) === 0x7f454c46) return name('linux', bytes.readUInt16LE(18));
  if (bytes.readUInt32LE(0) === 0xfeedfacf) return name('darwin', bytes.readUInt32LE(4));
  if (bytes.toString('latin1', 0, 2) === 'MZ') {
    return name('win32', bytes.readUInt16LE(bytes.readUInt32LE(0x3c) + 4));
  }
  return 'nothing';
}

exports.systemOf = systemOf;
