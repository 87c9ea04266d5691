'use strict';

// node scripts/release.js [--dry-run | --pack | --try | --publish] [--addons=FOLDER[,FOLDER…]] [--tag=TAG]
//
// Makes the packages of a release in target/release-packages. RELEASING.md says when to run what; the workflow
// `release` does it on GitHub.
//
//   --pack      packs the addons of all platforms, which are in the folders, and checks what the packages contain
//   --try       installs datasoup from a registry on loopback that has these packages, and runs the example of
//               README.md and scripts/cross/smoke.js
//   --publish   publishes these packages: first the platforms, datasoup last. What is published already is left out
//   --dry-run   all of this here: packs what native/ and the folders have, with placeholders for the other platforms,
//               publishes to a registry on loopback, and installs from that

const fs = require('node:fs');
const path = require('node:path');

const { readOptions, refuse } = require('./options');
const { inspect } = require('./cross/inspect');
const { checkMachO } = require('./cross/macho');
const { PLATFORMS } = require('./cross/platforms');
const { install } = require('./release/install');
const { faults, npm, pack } = require('./release/packages');
const { publish } = require('./release/publish');
const { Registry } = require('./release/registry');
const { platforms } = require('../lib/platform');

const ROOT = path.join(__dirname, '..');
const FOLDER = path.join(ROOT, 'target', 'release-packages');
const { version, dependencies } = require('../package.json');

/**
 * @param {string[]} addons
 * @param {boolean} placeholders
 */
async function packAll(addons, placeholders) {
  const packed = await pack({ folder: FOLDER, addons, placeholders });

  for (const { name, size, unpackedSize, files, addon } of packed) {
    const what =
      !addon && name !== 'datasoup' ? 'a placeholder: not built here' : `${files.length} files`;
    const kilobytes = [size, unpackedSize].map((it) => `${Math.ceil(it / 1000)} kB`.padStart(7));
    console.log(`${name.padEnd(28)} ${kilobytes.join(' packed, ')} unpacked, ${what}`);
  }
  const found = packed.flatMap((it) => {
    const others = faultsOfAddon(it.addon);
    // What this machine's C compiler made needs a newer Linux, and is larger. It will do for a rehearsal.
    const builtHere = placeholders && others.length > 0;
    return builtHere ? faults({ ...it, unpackedSize: 0 }) : [...faults(it), ...others];
  });
  if (found.length > 0) throw new Error(found.join('\n'));
}

/**
 * What would keep a binary from running on the oldest supported Linux or macOS.
 * @param {string} [addon]
 */
function faultsOfAddon(addon) {
  const platform = PLATFORMS.find(({ name }) => addon?.endsWith(`.${name}.node`));
  if (!addon || !platform) return [];
  try {
    if (platform.name.startsWith('darwin')) checkMachO(addon);
    else console.log(`${path.basename(addon)} ${inspect(platform, addon)}`);
    return [];
  } catch (error) {
    return [`${addon}: ${/** @type {Error} */ (error).message}`];
  }
}

/** The tarballs that `--pack` made, in the order in which they are published. */
function tarballs() {
  const names = [
    ...platforms.map((it) => `datasoup-${it}-${version}.tgz`),
    `datasoup-${version}.tgz`,
  ];
  const files = names.map((name) => path.join(FOLDER, name));
  const missing = files.filter((file) => !fs.existsSync(file));
  if (missing.length > 0) throw new Error(`${missing.join(', ')} is missing: run --pack first`);
  return files;
}

/**
 * Calls `use` with a registry on loopback that has the dependencies of `datasoup`.
 * @param {(registry: InstanceType<typeof Registry>) => unknown} use
 */
async function withRegistry(use) {
  const registry = await new Registry().start();
  try {
    for (const file of await dependencyTarballs()) registry.add(file);
    await use(registry);
  } finally {
    registry.stop();
  }
}

/** Packs the dependencies in node_modules/, and their dependencies. */
async function dependencyTarballs() {
  const folder = path.join(FOLDER, 'dependencies');
  const names = new Set(Object.keys(dependencies));
  for (const name of names) {
    const manifest = require(`${name}/package.json`);
    for (const it of Object.keys(manifest.dependencies ?? {})) names.add(it);
  }
  fs.mkdirSync(folder, { recursive: true });
  const sources = [...names].map((name) => path.dirname(require.resolve(`${name}/package.json`)));
  await npm(['pack', '--ignore-scripts', '--pack-destination', folder, ...sources]);
  return fs.readdirSync(folder).map((name) => path.join(folder, name));
}

/** @param {InstanceType<typeof Registry>} registry */
async function tryInstall(registry) {
  const took = await install(registry.url);

  console.log(
    `npm install datasoup took ${(took / 1000).toFixed(1)} s; its example and smoke.js work`,
  );
}

/** @param {InstanceType<typeof Registry>} registry */
async function rehearse(registry) {
  const userconfig = path.join(FOLDER, 'npmrc');
  fs.writeFileSync(userconfig, `${registry.url.replace('http:', '')}/:_authToken=none\n`);
  const npmOptions = [`--registry=${registry.url}`, `--userconfig=${userconfig}`];
  const options = { tag: 'latest', provenance: false, npmOptions };
  const order = await publish(tarballs(), options);
  const again = await publish(tarballs(), options);
  if (order.at(-1) !== `datasoup@${version}` || again.length > 0) {
    throw new Error(`published ${order.join(', ')}, and the second time ${again.join(', ')}`);
  }
  await tryInstall(registry);
}

async function main() {
  const options = readOptions({
    'dry-run': { type: 'boolean' },
    pack: { type: 'boolean' },
    try: { type: 'boolean' },
    publish: { type: 'boolean' },
    addons: { type: 'string' },
    tag: { type: 'string', default: version.includes('-') ? 'next' : 'latest' },
  });
  const commands = ['dry-run', 'pack', 'try', 'publish'].filter((name) => options[name]);
  if (commands.length !== 1) refuse('choose one of --dry-run, --pack, --try and --publish');
  const addons = options.addons?.split(',') ?? [];

  switch (commands[0]) {
    case 'pack':
      return packAll(addons, false);
    case 'try':
      return withRegistry((registry) => {
        for (const file of tarballs()) registry.add(file);
        return tryInstall(registry);
      });
    case 'publish': {
      const tagged = process.env.GITHUB_REF_NAME;
      if (tagged !== undefined && tagged !== `v${version}`) {
        throw new Error(`the tag is ${tagged}, but the version is ${version}`);
      }
      return publish(tarballs(), {
        tag: options.tag,
        provenance: process.env.ACTIONS_ID_TOKEN_REQUEST_URL !== undefined,
      });
    }
    default:
      await packAll([path.join(ROOT, 'native'), ...addons], true);
      return withRegistry(rehearse);
  }
}

main().catch((error) => {
  console.error(`release: ${error.message}${error.stderr ? `\n${error.stderr}` : ''}`);
  process.exitCode = 1;
});
