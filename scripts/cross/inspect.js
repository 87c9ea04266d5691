'use strict';

// Checks what a built file must and must not contain. The loaders of the platforms would find a fault too late, on the
// machines of users.

const { createHash } = require('node:crypto');
const fs = require('node:fs');

const { install, run } = require('./tools');

/** @typedef {import('./platforms').Platform} Platform */

/** The symbol that Node.js looks up. */
const ENTRY = 'napi_register_module_v1';

/** @param {string[]} args */
function readobj(...args) {
  install({ 'llvm-readobj': 'llvm' });
  return run('llvm-readobj', args);
}

/**
 * The numbers of a version.
 * @param {string} version
 */
const numbers = (version) => version.split('.').map(Number);

/** @param {string} a @param {string} b */
function isNewer(a, b) {
  const [x, y] = [numbers(a), numbers(b)];
  const index = x.findIndex((it, at) => it !== (y[at] ?? 0));
  return index !== -1 && x[index] > (y[index] ?? 0);
}

/**
 * @param {string} file
 * @returns {{ needed: string[], exported: string[], versions: string[] }}
 */
function elf(file) {
  const dynamic = run('readelf', ['--dynamic', '--wide', file]);
  const symbols = run('readelf', ['--dyn-syms', '--wide', file]);
  return {
    needed: [...dynamic.matchAll(/\(NEEDED\).*\[(.+)\]/g)].map(([, name]) => name),
    exported: [...symbols.matchAll(/ GLOBAL +DEFAULT +\d+ (\w+)$/gm)].map(([, name]) => name),
    versions: [...symbols.matchAll(/@GLIBC_([\d.]+)/g)].map(([, version]) => version),
  };
}

/** @param {string} file @returns {{ needed: string[], exported: string[] }} */
function pe(file) {
  const text = readobj('--coff-imports', '--coff-exports', file);
  const imports = [...text.matchAll(/^(?:Delay)?Import \{\n +Name: (\S+)/gm)];
  const exports = [...text.matchAll(/^Export \{\n +Ordinal: \d+\n +Name: (\S+)/gm)];
  return {
    needed: imports.map(([, name]) => name.toLowerCase()),
    exported: exports.map(([, name]) => name),
  };
}

/** @param {string} file @returns {{ needed: string[], exported: string[] }} */
function macho(file) {
  const libraries = readobj('--needed-libs', file);
  const [, list] = /NeededLibraries \[\n([^\]]*)\]/.exec(libraries) ?? ['', ''];
  const needed = list.split('\n').map((it) => it.trim());
  const symbols = readobj('--symbols', file).split('Symbol {');
  const defined = symbols.filter((it) => /\bExtern\b/.test(it) && /Section: \w/.test(it));
  checkSignature(fs.readFileSync(file), readobj('--file-header', file).includes('Arch: aarch64'));
  return {
    // The output includes the name of the library itself.
    needed: needed.filter((it) => it !== '' && !it.endsWith('libdatasoup.dylib')),
    exported: defined.map((it) => /Name: _(\w+)/.exec(it)?.[1] ?? ''),
  };
}

/**
 * Checks the hashes that the kernel of macOS compares with the pages of a library before it runs them. Apple's own
 * processors run nothing without such a signature, and `strip` makes it invalid unless it signs again.
 * @param {Buffer} bytes
 * @param {boolean} isRequired
 */
function checkSignature(bytes, isRequired) {
  const LC_CODE_SIGNATURE = 0x1d;
  const CODE_DIRECTORY = 0xfade0c02;
  let command = 32;
  let count = bytes.readUInt32LE(16);
  for (; count > 0 && bytes.readUInt32LE(command) !== LC_CODE_SIGNATURE; count -= 1) {
    command += bytes.readUInt32LE(command + 4);
  }
  if (count === 0) {
    if (isRequired) throw new Error('it has no signature');
    return;
  }

  const signature = bytes.subarray(bytes.readUInt32LE(command + 8));
  const blobs = Array.from({ length: signature.readUInt32BE(8) }, (_, index) =>
    signature.subarray(signature.readUInt32BE(12 + 8 * index + 4)),
  );
  const directory = blobs.find((it) => it.readUInt32BE(0) === CODE_DIRECTORY);
  if (directory === undefined) throw new Error('its signature has no hashes');
  const [hashes, slots, end] = [16, 28, 32].map((at) => directory.readUInt32BE(at));
  const [size, type, , page] = directory.subarray(36, 40);
  if (size !== 32 || type !== 2) throw new Error('its signature is not made with SHA-256');
  if (end !== signature.byteOffset - bytes.byteOffset) {
    throw new Error('its signature covers another part of the file');
  }
  for (let slot = 0; slot < slots; slot += 1) {
    const start = slot << page;
    const content = bytes.subarray(start, Math.min(start + (1 << page), end));
    const hash = createHash('sha256').update(content).digest();
    if (!hash.equals(directory.subarray(hashes + slot * size, hashes + (slot + 1) * size))) {
      throw new Error(`its signature is invalid at byte ${start}`);
    }
  }
}

/**
 * Throws unless the file is what the platform needs.
 * @param {Platform} platform
 * @param {string} file
 */
function inspect({ name, glibc, needed }, file) {
  const reader = { linux: elf, win32: pe, darwin: macho }[name.split('-')[0]];
  if (reader === undefined) throw new Error(`no reader for ${name}`);
  const found = { versions: /** @type {string[]} */ ([]), ...reader(file) };

  const unexpected = found.needed.filter((it) => !needed.includes(it));
  if (unexpected.length > 0) throw new Error(`it needs ${unexpected.join(', ')}`);
  if (found.needed.length === 0) throw new Error('it links no library, not even libc');
  if (!found.exported.includes(ENTRY)) throw new Error(`it does not export ${ENTRY}`);
  if (glibc) {
    const newer = found.versions.filter((it) => isNewer(it, glibc));
    if (newer.length > 0) throw new Error(`it needs glibc ${newer.join(', ')}`);
    if (found.versions.length === 0) throw new Error('it has no versions of glibc');
  }
  return `needs ${found.needed.join(', ')}; exports ${found.exported.length} symbols`;
}

module.exports = { inspect };
