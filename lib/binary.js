'use strict';

const fs = require('node:fs');

// Reads what the loader needs to know about a native binary, in the format of each system: 64 bits, little-endian.

/**
 * @typedef {object} Binary
 * @property {'ELF' | 'PE' | 'Mach-O'} format
 * @property {string} arch - as `process.arch` calls it.
 * @property {string} [interpreter] - the dynamic linker that starts a program in ELF; libraries name none.
 * @property {number} length - how many bytes the system maps. If the file has fewer, the process dies by SIGBUS on Linux.
 * @property {number} size - the length of the file in bytes.
 */

/** @typedef {(position: number, length: number) => Buffer} Read */

/** The processors, by their numbers in headers. */
const ARCHITECTURES = {
  ELF: new Map([
    [62, 'x64'],
    [183, 'arm64'],
    [243, 'riscv64'],
    [258, 'loong64'],
  ]),
  PE: new Map([
    [0x14c, 'ia32'],
    [0x8664, 'x64'],
    [0xaa64, 'arm64'],
  ]),
  'Mach-O': new Map([
    [0x01000007, 'x64'],
    [0x0100000c, 'arm64'],
  ]),
};

/** The format of this system's binaries. */
const FORMAT = /** @type {Record<string, Binary['format']>} */ ({ darwin: 'Mach-O', win32: 'PE' })[
  process.platform
];

/**
 * Returns undefined for a file that cannot be read, and for one of another format.
 *
 * @param {string} file
 * @returns {Binary | undefined}
 */
function readBinary(file) {
  let descriptor;

  try {
    descriptor = fs.openSync(file, 'r');
    const { size } = fs.fstatSync(descriptor);
    const read = reader(descriptor, size);
    const binary = parse(read(0, 64), read);

    return binary && { ...binary, size };
  } catch {
    return undefined;
  } finally {
    if (descriptor !== undefined) fs.closeSync(descriptor);
  }
}

/**
 * @param {number} descriptor
 * @param {number} size
 * @returns {Read}
 */
function reader(descriptor, size) {
  return (position, length) => {
    if (position + length > size) throw new RangeError('the file ends in its header');

    const bytes = Buffer.alloc(length);

    fs.readSync(descriptor, bytes, 0, length, position);
    return bytes;
  };
}

/**
 * @param {Buffer} header
 * @param {Read} read
 */
function parse(header, read) {
  if (header.readUInt32BE(0) === 0x7f454c46 && header.readUInt16LE(4) === 0x0102) {
    return elf(header, read);
  }
  if (header.readUInt32LE(0) === 0xfeedfacf) return macho(header, read);
  if (header.toString('latin1', 0, 2) === 'MZ') return pe(header.readUInt32LE(0x3c), read);
  return undefined;
}

/**
 * @param {Binary['format']} format
 * @param {number} machine
 * @returns {Omit<Binary, 'size'>}
 */
const start = (format, machine) => ({
  format,
  arch: ARCHITECTURES[format].get(machine) ?? `machine ${machine}`,
  length: 0,
});

/**
 * @param {Buffer} header
 * @param {Read} read
 */
function elf(header, read) {
  const [PT_LOAD, PT_INTERP] = [1, 3];
  const binary = start('ELF', header.readUInt16LE(18));
  const [entrySize, entries] = [header.readUInt16LE(54), header.readUInt16LE(56)];
  const table = read(Number(header.readBigUInt64LE(32)), entrySize * entries);

  for (let at = 0; at < table.length; at += entrySize) {
    const type = table.readUInt32LE(at);
    const offset = Number(table.readBigUInt64LE(at + 8));
    const length = Number(table.readBigUInt64LE(at + 32));

    if (type === PT_LOAD) binary.length = Math.max(binary.length, offset + length);
    if (type === PT_INTERP) binary.interpreter = read(offset, length - 1).toString('latin1');
  }
  return binary;
}

/**
 * @param {Buffer} header
 * @param {Read} read
 */
function macho(header, read) {
  const LC_SEGMENT_64 = 0x19;
  const binary = start('Mach-O', header.readUInt32LE(4));
  const commands = read(32, header.readUInt32LE(20));

  for (let at = 0; at < commands.length; at += Math.max(8, commands.readUInt32LE(at + 4))) {
    if (commands.readUInt32LE(at) === LC_SEGMENT_64) {
      const [offset, length] = [at + 40, at + 48].map((it) => Number(commands.readBigUInt64LE(it)));

      binary.length = Math.max(binary.length, offset + length);
    }
  }
  return binary;
}

/**
 * @param {number} position - of the header behind that of DOS.
 * @param {Read} read
 */
function pe(position, read) {
  const header = read(position, 24);

  if (header.toString('latin1', 0, 4) !== 'PE\0\0') return undefined;

  const binary = start('PE', header.readUInt16LE(4));
  const sections = read(position + 24 + header.readUInt16LE(20), 40 * header.readUInt16LE(6));

  for (let at = 0; at < sections.length; at += 40) {
    const [length, offset] = [sections.readUInt32LE(at + 16), sections.readUInt32LE(at + 20)];

    binary.length = Math.max(binary.length, offset + length);
  }
  return binary;
}

exports.FORMAT = FORMAT ?? 'ELF';
exports.readBinary = readBinary;
