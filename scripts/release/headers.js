'use strict';

const { readBinary } = require('../../lib/binary');

/** The system whose addons have each format. */
const SYSTEMS = { ELF: 'linux', PE: 'win32', 'Mach-O': 'darwin' };

/**
 * The system and the processor that a binary is for, as in the names of packages: `linux-x64`.
 * @param {string} file
 */
function systemOf(file) {
  const binary = readBinary(file);

  return binary ? `${SYSTEMS[binary.format]}-${binary.arch}` : 'nothing';
}

exports.systemOf = systemOf;
