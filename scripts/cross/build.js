'use strict';

// Builds the addon for one platform.

const { spawnSync } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');

const { ENTRY } = require('./inspect');
const { OLDEST } = require('./macho');
const tools = require('./tools');

/** @typedef {import('./platforms').Platform} Platform */

/** The file name that cargo gives the library on each system. */
const LIBRARIES = { linux: 'libdatasoup.so', win32: 'datasoup.dll', darwin: 'libdatasoup.dylib' };

/** A release without optimization. */
const QUICK = {
  CARGO_PROFILE_RELEASE_LTO: 'off',
  CARGO_PROFILE_RELEASE_CODEGEN_UNITS: '16',
  CARGO_PROFILE_RELEASE_OPT_LEVEL: '0',
};

/**
 * How aws-lc is compiled, as in release.yml: smaller for Linux, where most of its hot code is assembly; elsewhere
 * without the code for AVX-512, which it never runs there.
 */
const AWS_LC_FLAGS = {
  linux: '-Os -fno-asynchronous-unwind-tables',
  others: '-DMY_ASSEMBLER_IS_TOO_OLD_FOR_512AVX',
};

/** The environment of cargo. @param {Platform} platform @param {boolean} quick */
function environment({ name, triple, zig, buildStd }, quick) {
  /** @type {NodeJS.ProcessEnv} */
  const env = {
    CARGO_NET_RETRY: '10',
    AWS_LC_SYS_CFLAGS: AWS_LC_FLAGS[name.startsWith('linux-') ? 'linux' : 'others'],
    ...(buildStd ? tools.rust() : process.env),
    ...(quick && QUICK),
  };
  if (zig) {
    env.PATH = `${tools.zigbuild()}:${env.PATH}`;
    env.CARGO_ZIGBUILD_ZIG_PATH = tools.zig(zig);
  }
  /** @type {string[]} */
  const flags = [];
  // Otherwise the addon would have a libc of its own.
  if (name.endsWith('-musl')) flags.push('-Ctarget-feature=-crt-static');
  if (name.startsWith('win32-')) {
    // napi-build needs an import library of Node.js, although nothing is imported from it.
    env.LIBNODE_PATH = libnode(triple);
  }
  if (name.startsWith('darwin-')) {
    flags.push(`-Lnative=${libiconv()}`);
    env.MACOSX_DEPLOYMENT_TARGET = OLDEST[name === 'darwin-arm64' ? 'arm64' : 'x64'];
  }
  // cargo-zigbuild drops rustc's list of exports. Without one lld exports everything, unless something is marked as
  // exported, as it is in aws-lc.
  if (triple.endsWith('-windows-gnullvm')) flags.push(`-Clink-arg=${definitions()}`);
  if (triple === 'x86_64-pc-windows-gnu') {
    tools.install({ 'x86_64-w64-mingw32-gcc': 'gcc-mingw-w64-x86-64-win32', nasm: 'nasm' });
    env.CARGO_TARGET_X86_64_PC_WINDOWS_GNU_LINKER = 'x86_64-w64-mingw32-gcc';
  }
  // Unlike RUSTFLAGS, it can hold paths with spaces.
  if (flags.length > 0) env.CARGO_ENCODED_RUSTFLAGS = flags.join('\x1f');
  return env;
}

/** A file that lists what the addon exports on Windows. */
function definitions() {
  const folder = tools.cached('definitions', (into) => {
    fs.writeFileSync(path.join(into, 'addon.def'), `EXPORTS\n    ${ENTRY}\n`);
  });
  return path.join(folder, 'addon.def');
}

/** A folder with a stub of a macOS library that std links and zig lacks. */
function libiconv() {
  return tools.cached('libiconv', (folder) => {
    const stub = `--- !tapi-tbd
tbd-version: 4
targets: [ x86_64-macos, arm64-macos ]
install-name: '/usr/lib/libiconv.2.dylib'
current-version: 7
compatibility-version: 7
...
`;
    fs.writeFileSync(path.join(folder, 'libiconv.tbd'), stub);
  });
}

/** A folder with an empty library. @param {string} triple */
function libnode(triple) {
  return tools.cached(`libnode-${triple}`, (folder) => {
    for (const name of ['libnode.dll', 'node.lib', 'libnode.a']) {
      fs.writeFileSync(path.join(folder, name), '!<arch>\n');
    }
  });
}

/**
 * How cargo builds something for a platform.
 * @param {Platform} platform
 * @param {boolean} [quick]
 */
function cargo(platform, quick = false) {
  const { triple, glibc, zig, buildStd } = platform;
  const args = ['--target', glibc ? `${triple}.${glibc}` : triple];
  if (buildStd) args.push('-Zbuild-std=std,panic_unwind');
  return { command: zig ? 'zigbuild' : 'build', args, env: environment(platform, quick) };
}

/** The folder in which cargo builds. @param {boolean} quick */
const target = (quick) => path.join(tools.CACHE, quick ? 'target-quick' : 'target');

/**
 * Runs cargo, or cargo-zigbuild, for the crate with Node-API.
 * @param {Platform} platform
 * @param {boolean} quick
 * @param {string} program
 * @param {string} command
 * @param {string[]} others
 */
function runCargo(platform, quick, program, command, others) {
  const { args: options, env } = cargo(platform, quick);
  const args = [
    ...[command, '--locked', '--release', '--features', 'node'],
    ...['--target-dir', target(quick), ...options, ...others],
  ];
  const { status } = spawnSync(program, args, {
    cwd: tools.ROOT,
    env,
    stdio: ['ignore', 'inherit', 'inherit'],
  });
  if (status !== 0) throw new Error(`${program} ${args.join(' ')}: exit code ${status}`);
}

/**
 * Builds the addon, and returns its file.
 * @param {Platform} platform
 * @param {boolean} quick
 */
function build(platform, quick) {
  const { name, triple } = platform;
  runCargo(platform, quick, 'cargo', platform.zig ? 'zigbuild' : 'build', ['--lib']);

  const system = /** @type {keyof typeof LIBRARIES} */ (name.split('-')[0]);
  const file = path.join(tools.CACHE, 'addons', `datasoup.${name}.node`);
  fs.mkdirSync(path.dirname(file), { recursive: true });
  fs.copyFileSync(path.join(target(quick), triple, 'release', LIBRARIES[system]), file);
  return file;
}

/**
 * Checks that all Rust code compiles for the platform without warnings, with that of the tests. No machine of ours runs
 * those.
 * @param {Platform} platform
 * @param {boolean} quick
 */
function checkRust(platform, quick) {
  const program = platform.zig ? 'cargo-zigbuild' : 'cargo';
  const strict = ['-Zwarnings', '--config', 'build.warnings="deny"'];
  // Tests need one more crate of the standard library.
  const library = '-Zbuild-std=std,panic_unwind,test';
  runCargo(platform, quick, program, 'check', ['--lib', '--tests', library, ...strict]);
}

/**
 * Removes what cargo made for a platform, several hundred MB.
 * @param {Platform} platform
 * @param {boolean} quick
 */
function clean({ triple }, quick) {
  fs.rmSync(path.join(target(quick), triple), { recursive: true, force: true });
}

module.exports = { build, cargo, checkRust, clean };
