'use strict';

// Makes the checks of macOS's loader that no tool on Linux makes.

const { createHash } = require('node:crypto');
const fs = require('node:fs');

/** The oldest macOS that Node.js 20 runs on. The first one for Apple's own processors is 11. */
const OLDEST = { x64: '10.15', arm64: '11.0' };

const ARM64 = 0x0100000c;
const [LC_CODE_SIGNATURE, LC_BUILD_VERSION, LC_VERSION_MIN_MACOSX] = [0x1d, 0x32, 0x24];

/**
 * Throws unless the library loads on the oldest macOS, and has a valid signature if its processor needs one.
 * @param {string} file
 */
function checkMachO(file) {
  const bytes = fs.readFileSync(file);
  const arch = bytes.readUInt32LE(4) === ARM64 ? 'arm64' : 'x64';
  /** The places of the load commands, by their types. @type {Map<number, number>} */
  const commands = new Map();
  let at = 32;
  for (let count = bytes.readUInt32LE(16); count > 0; count -= 1) {
    commands.set(bytes.readUInt32LE(at), at);
    at += bytes.readUInt32LE(at + 4);
  }

  const build = commands.get(LC_BUILD_VERSION);
  const version = build === undefined ? commands.get(LC_VERSION_MIN_MACOSX) : build + 4;
  if (version === undefined) throw new Error('it does not say which macOS it needs');
  const [minor, major] = [bytes[version + 9], bytes.readUInt16LE(version + 10)];
  const [oldestMajor, oldestMinor] = OLDEST[arch].split('.').map(Number);
  if (major > oldestMajor || (major === oldestMajor && minor > oldestMinor)) {
    throw new Error(`it needs macOS ${major}.${minor}, which is newer than ${OLDEST[arch]}`);
  }

  const signature = commands.get(LC_CODE_SIGNATURE);
  if (signature !== undefined) checkSignature(bytes, bytes.readUInt32LE(signature + 8));
  else if (arch === 'arm64') throw new Error('it has no signature');
}

/**
 * Checks the hashes that the kernel of macOS compares with the pages of a library before it runs them. Apple's own
 * processors run nothing without such a signature, and `strip` makes it invalid unless it signs again.
 * @param {Buffer} bytes
 * @param {number} start Of the signature.
 */
function checkSignature(bytes, start) {
  const CODE_DIRECTORY = 0xfade0c02;
  const signature = bytes.subarray(start);
  const blobs = Array.from({ length: signature.readUInt32BE(8) }, (_, index) =>
    signature.subarray(signature.readUInt32BE(12 + 8 * index + 4)),
  );
  const directory = blobs.find((it) => it.readUInt32BE(0) === CODE_DIRECTORY);
  if (directory === undefined) throw new Error('its signature has no hashes');
  const [hashes, slots, end] = [16, 28, 32].map((at) => directory.readUInt32BE(at));
  const [size, type, , page] = directory.subarray(36, 40);
  if (size !== 32 || type !== 2) throw new Error('its signature is not made with SHA-256');
  if (end !== start) {
    throw new Error('its signature covers another part of the file');
  }
  for (let slot = 0; slot < slots; slot += 1) {
    const from = slot << page;
    const content = bytes.subarray(from, Math.min(from + (1 << page), end));
    const hash = createHash('sha256').update(content).digest();
    if (!hash.equals(directory.subarray(hashes + slot * size, hashes + (slot + 1) * size))) {
      throw new Error(`its signature is invalid at byte ${from}`);
    }
  }
}

module.exports = { OLDEST, checkMachO };
