'use strict';

// Checks what a built file must and must not contain. The loaders of the platforms would find a fault too late, on the
// machines of users.

const { readBinary } = require('../../lib/binary');
const { systemOf } = require('../release/headers');
const { checkMachO } = require('./macho');
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
  // The linker leaves unknown symbols to the program that loads the library. The addon must have none.
  const missing = run('llvm-nm', ['-m', '--undefined-only', file])
    .split('\n')
    .filter((it) => it !== '' && !/ \(from \w+\)$/.test(it));
  if (missing.length > 0) throw new Error(`it looks up ${missing.join(', ')}`);
  return {
    // The output includes the name of the library itself.
    needed: needed.filter((it) => it !== '' && !it.endsWith('libdatasoup.dylib')),
    exported: defined.map((it) => /Name: _(\w+)/.exec(it)?.[1] ?? ''),
  };
}

/**
 * Throws unless the file is what the platform needs.
 * @param {Platform} platform
 * @param {string} file
 */
function inspect({ name, glibc, needed }, file) {
  const reader = { linux: elf, win32: pe, darwin: macho }[name.split('-')[0]];
  if (reader === undefined) throw new Error(`no reader for ${name}`);
  const binary = readBinary(file);
  if (!name.startsWith(systemOf(file))) throw new Error(`it is for ${systemOf(file)}`);
  if (!binary || binary.length === 0 || binary.length > binary.size) {
    throw new Error(`the loader would call it truncated: ${JSON.stringify(binary)}`);
  }
  if (name.startsWith('darwin-')) checkMachO(file);
  const found = { versions: /** @type {string[]} */ ([]), ...reader(file) };

  const unexpected = found.needed.filter((it) => !needed.includes(it));
  if (unexpected.length > 0) throw new Error(`it needs ${unexpected.join(', ')}`);
  if (found.needed.length === 0) throw new Error('it links no library, not even libc');
  if (!found.exported.includes(ENTRY)) throw new Error(`it does not export ${ENTRY}`);
  if (glibc) {
    const newer = found.versions.filter((it) => isNewer(it, glibc));
    if (newer.length > 0) throw new Error(`it needs glibc ${newer.join(', ')}`);
    if (found.versions.length === 0) throw new Error('it names no version of glibc');
  }
  return `needs ${found.needed.join(', ')}; exports ${found.exported.length} symbols`;
}

module.exports = { ENTRY, inspect };
