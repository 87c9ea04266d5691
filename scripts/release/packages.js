'use strict';

// The packages of a release: `datasoup` without a binary, and one with the binary of each platform. They are made in a
// folder of their own; nothing in the repository changes.

const { execFile } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');
const { promisify } = require('node:util');

const { platforms } = require('../../lib/platform');
const { systemOf } = require('./headers');
const { licenses } = require('./licenses');

const ROOT = path.join(__dirname, '..', '..');

/** Rust's name of each platform. */
const TARGETS = /** @type {Record<string, string>} */ ({
  'linux-x64-gnu': 'x86_64-unknown-linux-gnu',
  'linux-arm64-gnu': 'aarch64-unknown-linux-gnu',
  'linux-x64-musl': 'x86_64-unknown-linux-musl',
  'linux-arm64-musl': 'aarch64-unknown-linux-musl',
  'darwin-x64': 'x86_64-apple-darwin',
  'darwin-arm64': 'aarch64-apple-darwin',
  'win32-x64-msvc': 'x86_64-pc-windows-msvc',
  'win32-arm64-msvc': 'aarch64-pc-windows-msvc',
});

/** The most bytes that a user downloads for `datasoup`, and that the package of a platform takes on disk. */
const BOUNDS = { download: 400_000, unpacked: 6_500_000 };

const LICENSES = 'THIRD-PARTY-LICENSES.txt';

/**
 * @typedef {object} Packed
 * @property {string} name
 * @property {string} file The tarball.
 * @property {number} size Bytes of the tarball.
 * @property {number} unpackedSize
 * @property {string[]} files
 * @property {string} [addon] The binary in it; `datasoup` and placeholders have none.
 */

/** npm without the settings of the npm that runs this script. */
function npmEnvironment() {
  const kept = Object.entries(process.env).filter(
    ([name]) => !/^npm_(?!config_(registry|userconfig)$)/i.test(name),
  );

  return Object.fromEntries(kept);
}

/**
 * @param {string[]} args
 * @returns {Promise<string>} What npm prints.
 */
async function npm(args) {
  // npm is a batch file on Windows.
  const shell = process.platform === 'win32';
  const options = { cwd: ROOT, env: npmEnvironment(), maxBuffer: 2 ** 26, shell };
  const { stdout } = await promisify(execFile)('npm', [...args, '--loglevel=error'], options);

  return stdout;
}

/** @param {string} file */
const readJson = (file) => JSON.parse(fs.readFileSync(file, 'utf8'));

/** The fields that all packages share. The repository is that of the workflow, as npm's provenance requires. */
function common() {
  const { version, license, engines } = readJson(path.join(ROOT, 'package.json'));
  const { GITHUB_SERVER_URL: server, GITHUB_REPOSITORY: name } = process.env;
  const repository = name && { type: 'git', url: `git+${server}/${name}.git` };

  return { version, license, engines, ...(repository && { repository }) };
}

/**
 * Makes the folder of the package with the addon of a platform.
 * @param {string} folder
 * @param {string} platform
 * @param {string | undefined} addon
 * @param {string} notices
 */
function makePlatform(folder, platform, addon, notices) {
  const [os, cpu, abi] = platform.split('-');
  const file = `datasoup.${platform}.node`;
  const libc = os === 'linux' && { libc: [abi === 'gnu' ? 'glibc' : abi] };
  const manifest = {
    name: `@datasoup/${platform}`,
    description: `The binary of datasoup for ${platform}`,
    ...common(),
    os: [os],
    cpu: [cpu],
    ...libc,
    main: file,
    files: [file, LICENSES],
    // Yarn's Plug'n'Play keeps packages in archives, from which no binary can be loaded.
    preferUnplugged: true,
  };

  fs.mkdirSync(folder, { recursive: true });
  fs.writeFileSync(path.join(folder, 'package.json'), `${JSON.stringify(manifest, null, 2)}\n`);
  fs.writeFileSync(
    path.join(folder, 'README.md'),
    `# ${manifest.name}\n\nThe binary of [datasoup](https://www.npmjs.com/package/datasoup) for ${platform}. Install \`datasoup\`, which depends on it.\n`,
  );
  fs.copyFileSync(path.join(ROOT, 'LICENSE'), path.join(folder, 'LICENSE'));
  fs.writeFileSync(path.join(folder, LICENSES), notices);
  if (addon) fs.copyFileSync(addon, path.join(folder, file));
  else fs.writeFileSync(path.join(folder, file), 'a placeholder: this platform was not built\n');
}

/**
 * Makes the folder of `datasoup`: the files that `npm pack` takes from the repository, except for the addon, and a
 * package.json that depends on the packages of all platforms.
 * @param {string} folder
 */
async function makeRoot(folder) {
  const [{ files }] = JSON.parse(await npm(['pack', '--json', '--dry-run', '--ignore-scripts']));
  for (const { path: file } of files) {
    if (file.startsWith('native/')) continue;
    fs.mkdirSync(path.dirname(path.join(folder, file)), { recursive: true });
    fs.copyFileSync(path.join(ROOT, file), path.join(folder, file));
  }

  const source = readJson(path.join(ROOT, 'package.json'));
  const { private: _, scripts, devDependencies, napi, files: all, ...manifest } = source;
  const { version } = manifest;
  const published = {
    ...manifest,
    ...common(),
    files: all.filter((/** @type {string} */ it) => !it.startsWith('native')),
    optionalDependencies: Object.fromEntries(platforms.map((it) => [`@datasoup/${it}`, version])),
  };
  fs.writeFileSync(path.join(folder, 'package.json'), `${JSON.stringify(published, null, 2)}\n`);
}

/**
 * Makes and packs all packages, `datasoup` last, in `folder`, whose contents are removed.
 *
 * @param {object} options
 * @param {string} options.folder
 * @param {string[]} options.addons Folders with files `datasoup.<platform>.node`; the first that has one is used.
 * @param {boolean} [options.placeholders] Whether platforms may lack an addon; else it is an error.
 * @returns {Promise<Packed[]>} in the order in which they are to be published.
 */
async function pack({ folder, addons, placeholders = false }) {
  const found = new Map(
    platforms.map((platform) => {
      const names = addons.map((it) => path.join(it, `datasoup.${platform}.node`));

      return [platform, names.find((it) => fs.existsSync(it))];
    }),
  );
  const missing = platforms.filter((it) => !found.get(it));
  if (missing.length > 0 && !placeholders) {
    throw new Error(`no addon for ${missing.join(', ')} in ${addons.join(', ')}`);
  }

  fs.rmSync(folder, { recursive: true, force: true });
  const notices = licenses(Object.values(TARGETS));
  for (const platform of platforms) {
    const notice = notices.get(TARGETS[platform]) ?? '';
    makePlatform(path.join(folder, platform), platform, found.get(platform), notice);
  }
  await makeRoot(path.join(folder, 'datasoup'));

  const folders = [...platforms, 'datasoup'];
  const sources = folders.map((it) => path.join(folder, it));
  const packed = JSON.parse(
    await npm(['pack', '--json', '--pack-destination', folder, ...sources]),
  );
  return packed.map((/** @type {any} */ it, /** @type {number} */ index) => ({
    name: it.name,
    file: path.join(folder, it.filename),
    size: it.size,
    unpackedSize: it.unpackedSize,
    files: it.files.map((/** @type {{ path: string }} */ entry) => entry.path),
    addon: found.get(folders[index]),
  }));
}

/** The files of a binary package, except for the binary. */
const PLATFORM_FILES = ['LICENSE', 'README.md', LICENSES, 'package.json'];

const ROOT_NEEDS = ['LICENSE', 'README.md', 'CHANGELOG.md', 'package.json', 'lib/native.js'].concat(
  ['index.js', 'index.mjs', 'index.d.ts', 'index.d.mts'],
);

/** Everything that may be in `datasoup`. */
const ROOT_FILES = [
  /^(LICENSE|README\.md|CHANGELOG\.md|SECURITY\.md|package\.json)$/,
  /^index\.(d\.)?m?[jt]s$/,
  /^lib\/[\w/]+\.js$/,
  /^subpaths\/(cluster|cluster\/nats|cluster\/redis|errors|extras|metrics|types)\.(d\.ts|js)$/,
  /^docs\/[\w-]+\.md$/,
  /^docs\/decisions\/[\w-]+\.md$/,
  /^docs\/plots\/[\w-]+\.svg$/,
];

/** The run-time libraries of Visual C++. Unlike the C library they are no part of Windows. */
const VISUAL_CPP = /\b(vcruntime|msvcp|concrt)\d\w*\.dll/i;

/**
 * The faults of a package: a file that is missing or does not belong there, a binary for another platform or
 * with a library that users may lack, too many bytes.
 * @param {Packed} packed
 * @returns {string[]}
 */
function faults({ name, addon, files, size, unpackedSize }) {
  const platform = name.split('/')[1];
  const needed = platform ? [...PLATFORM_FILES, `datasoup.${platform}.node`] : ROOT_NEEDS;
  const foreign = files.filter((file) =>
    platform ? !needed.includes(file) : !ROOT_FILES.some((it) => it.test(file)),
  );
  const found = [
    ...needed.filter((file) => !files.includes(file)).map((file) => `${name} lacks ${file}`),
    ...foreign.map((file) => `${name} has ${file}`),
  ];

  if (!platform && size > BOUNDS.download) {
    found.push(`${name} is ${size} bytes to download, more than ${BOUNDS.download}`);
  }
  if (platform && unpackedSize > BOUNDS.unpacked) {
    found.push(`${name} has ${unpackedSize} bytes, more than ${BOUNDS.unpacked}`);
  }
  if (addon && !platform.startsWith(systemOf(addon))) {
    found.push(`${addon} is for ${systemOf(addon)}`);
  }
  // CI's machines have it, so no test on them would fail.
  const [library] = (addon && VISUAL_CPP.exec(fs.readFileSync(addon, 'latin1'))) ?? [];
  if (library) found.push(`${addon} needs ${library}, which not every Windows has`);
  return found;
}

module.exports = { faults, npm, npmEnvironment, pack };
