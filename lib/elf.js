'use strict';

const fs = require('node:fs');

// The few facts of a 64-bit little-endian ELF file that the loader needs.

/** `e_machine`, as `process.arch` calls it. */
const ARCHITECTURES = new Map([
  [62, 'x64'],
  [183, 'arm64'],
  [243, 'riscv64'],
  [258, 'loong64'],
]);

const [PT_LOAD, PT_INTERP] = [1, 3];

/**
 * @typedef {object} Elf
 * @property {string} arch
 * @property {string} [interpreter] - the dynamic linker that starts a program; libraries name none.
 * @property {number} length - how many bytes the dynamic linker maps. If the file has fewer, the process dies by
 * SIGBUS.
 * @property {number} size - the length of the file in bytes.
 */

/**
 * Returns undefined for a file that cannot be read, and for one of another format.
 *
 * @param {string} file
 * @returns {Elf | undefined}
 */
function readElf(file) {
  let descriptor;

  try {
    descriptor = fs.openSync(file, 'r');
    return parse(fs.fstatSync(descriptor).size, reader(descriptor));
  } catch {
    return undefined;
  } finally {
    if (descriptor !== undefined) fs.closeSync(descriptor);
  }
}

/** @param {number} descriptor */
function reader(descriptor) {
  return (/** @type {number} */ position, /** @type {number} */ length) => {
    const bytes = Buffer.alloc(length);

    if (fs.readSync(descriptor, bytes, 0, length, position) < length) {
      throw new RangeError('the file ends in its header');
    }
    return bytes;
  };
}

/**
 * @param {number} size
 * @param {(position: number, length: number) => Buffer} read
 * @returns {Elf | undefined}
 */
function parse(size, read) {
  const header = read(0, 64);

  if (!header.subarray(0, 6).equals(Buffer.from('\x7fELF\x02\x01', 'latin1'))) {
    return undefined;
  }

  const machine = header.readUInt16LE(18);
  /** @type {Elf} */
  const elf = { arch: ARCHITECTURES.get(machine) ?? `machine ${machine}`, length: 0, size };
  const [entrySize, entries] = [header.readUInt16LE(54), header.readUInt16LE(56)];
  const table = read(Number(header.readBigUInt64LE(32)), entrySize * entries);

  for (let at = 0; at < table.length; at += entrySize) {
    const type = table.readUInt32LE(at);
    const offset = Number(table.readBigUInt64LE(at + 8));
    const length = Number(table.readBigUInt64LE(at + 32));

    if (type === PT_LOAD) elf.length = Math.max(elf.length, offset + length);
    if (type === PT_INTERP) elf.interpreter = read(offset, length - 1).toString('latin1');
  }
  return elf;
}

exports.readElf = readElf;
