'use strict';

// The platforms that scripts/cross builds for, and where each of them runs here.

/**
 * @typedef {object} Platform
 * @property {string} name As in the name of the package, except for Windows, which is built with MinGW here.
 * @property {string} triple
 * @property {string} [glibc] The oldest version that the addon runs with.
 * @property {string} [zig] The version of zig that links it. Without one, gcc does.
 * @property {boolean} [buildStd] Whether std is built from source with Debian's Rust; otherwise the toolchain has it.
 * @property {boolean} [tests] Whether the tests in Rust are compiled for it as well.
 * @property {string[]} needed The libraries that it may need.
 * @property {string} [system] The function of systems.js that runs the smoke test. Without one, the platform is only
 * built and inspected.
 */

const ZIG = '0.15.2';
/** The first version that can link Rust's output for macOS. */
const ZIG_MACOS = '0.17.1';

const GLIBC = ['libc.so.6', 'libdl.so.2', 'libm.so.6', 'libpthread.so.0', 'librt.so.1'];
const WINDOWS = [
  'api-ms-win-core-synch-l1-2-0',
  ...['advapi32', 'bcryptprimitives', 'kernel32', 'msvcrt', 'ntdll', 'user32', 'userenv', 'ws2_32'],
].map((it) => `${it}.dll`);
/** The C library of Windows 10 and later, by its parts. */
const UCRT = [
  ...['convert', 'environment', 'filesystem', 'heap', 'locale', 'math', 'private', 'runtime'],
  ...['stdio', 'string', 'time', 'utility'],
].map((it) => `api-ms-win-crt-${it}-l1-1-0.dll`);
const MACOS = ['libSystem.B', 'libcharset.1', 'libiconv.2'].map((it) => `/usr/lib/${it}.dylib`);

/** @type {Platform[]} */
const PLATFORMS = [
  {
    name: 'linux-x64-gnu',
    triple: 'x86_64-unknown-linux-gnu',
    glibc: '2.17',
    zig: ZIG,
    needed: [...GLIBC, 'ld-linux-x86-64.so.2'],
    system: 'debian11',
  },
  {
    name: 'linux-arm64-gnu',
    triple: 'aarch64-unknown-linux-gnu',
    glibc: '2.17',
    zig: ZIG,
    buildStd: true,
    tests: true,
    needed: [...GLIBC, 'ld-linux-aarch64.so.1'],
    system: 'arm64Gnu',
  },
  {
    name: 'linux-x64-musl',
    triple: 'x86_64-unknown-linux-musl',
    zig: ZIG,
    buildStd: true,
    needed: ['libc.so'],
    system: 'x64Musl',
  },
  {
    name: 'linux-arm64-musl',
    triple: 'aarch64-unknown-linux-musl',
    zig: ZIG,
    buildStd: true,
    needed: ['libc.so'],
    system: 'arm64Musl',
  },
  {
    name: 'win32-x64-gnu',
    triple: 'x86_64-pc-windows-gnu',
    buildStd: true,
    tests: true,
    needed: WINDOWS,
    system: 'wine',
  },
  {
    name: 'win32-arm64-gnullvm',
    triple: 'aarch64-pc-windows-gnullvm',
    zig: ZIG,
    buildStd: true,
    needed: [...WINDOWS, ...UCRT],
  },
  {
    name: 'darwin-arm64',
    triple: 'aarch64-apple-darwin',
    zig: ZIG_MACOS,
    buildStd: true,
    needed: MACOS,
  },
  {
    name: 'darwin-x64',
    triple: 'x86_64-apple-darwin',
    zig: ZIG_MACOS,
    buildStd: true,
    needed: MACOS,
  },
];

module.exports = { PLATFORMS };
