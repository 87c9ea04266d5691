'use strict';

const fs = require('node:fs');
const path = require('node:path');

const { FORMAT, readBinary } = require('./binary');
const { addonOf, currentPlatform, platforms } = require('./platform');
const { version } = require('../package.json');

// Loads the addon: the one that a build left in native/, or that of the platform's package. Each failure has an error
// that says what to do.

const ROOT = path.join(__dirname, '..');
const FOLDER = path.join(ROOT, 'native');
const IN_CLONE = fs.existsSync(path.join(ROOT, 'Cargo.toml'));

/** What to do about an addon that exists but cannot be used. */
const REPLACE = IN_CLONE
  ? `Run \`npm run build\` in ${ROOT}`
  : 'Remove node_modules and install again, on the machine that runs datasoup';

module.exports = load();

/** @returns {typeof import('../native/binding')} */
function load() {
  const built = fs.existsSync(FOLDER) ? fs.readdirSync(FOLDER) : [];
  const exact = built.find((name) => name === `datasoup.${currentPlatform}.node`);
  // If native/ has only an addon of another platform, the error should name it.
  const other = built.find((name) => name.endsWith('.node'));
  const inFolder = (/** @type {string | undefined} */ name) => name && path.join(FOLDER, name);
  const file = inFolder(exact) ?? addonOf(currentPlatform) ?? inFolder(other);

  if (!file) {
    throw new Error(missing());
  }
  return verified(file, open(file));
}

function missing() {
  if (IN_CLONE) {
    return `datasoup is not built: there is no .node file in ${FOLDER}. ${REPLACE}; it needs Rust`;
  }
  if (!platforms.includes(currentPlatform)) {
    const why = `datasoup has no binary for ${currentPlatform}, only for ${platforms.join(', ')}. `;

    if (!platforms.some((platform) => platform.startsWith(`${process.platform}-`))) {
      return `${why}It cannot be built for other systems`;
    }
    return (
      why +
      'To build it, run `npm install && npm pack` in a clone of its repository, which needs Rust and a C compiler, ' +
      'and install the file that this makes'
    );
  }

  const others = platforms.filter((platform) => addonOf(platform) !== undefined);

  if (others.length > 0) {
    return (
      `datasoup is installed for ${others.join(', ')}, but this is ${currentPlatform}: node_modules comes from ` +
      `another machine or image. Install on this one, or there with ${flags()}`
    );
  }
  return (
    `datasoup's binary for this platform is missing: the package @datasoup/${currentPlatform} is not installed. It is ` +
    'an optional dependency: install again without `--omit=optional` or `--no-optional`, and without ' +
    '`omit=optional` in .npmrc. If that changes nothing, a lock file of another platform is to blame: remove it and ' +
    'node_modules, and install again'
  );
}

/** The options of npm that choose this platform on another one. */
function flags() {
  const [os, cpu, abi] = currentPlatform.split('-');
  const libc = abi === 'gnu' ? 'glibc' : abi;

  return `\`npm install --os=${os} --cpu=${cpu}${os === 'linux' ? ` --libc=${libc}` : ''}\``;
}

/** @param {string} file */
function open(file) {
  const binary = readBinary(file);

  if (binary && (binary.arch !== process.arch || binary.format !== FORMAT)) {
    throw new Error(
      `${file} is for ${binary.arch} (${binary.format}), but this Node.js is for ${process.arch} (${FORMAT}). ${REPLACE}`,
    );
  }
  if (binary && binary.size < binary.length) {
    throw new Error(
      `${file} is truncated: it has ${binary.size} of ${binary.length} bytes. ${REPLACE}`,
    );
  }
  try {
    return require(file);
  } catch (error) {
    const { message } = /** @type {Error} */ (error);

    throw new Error(`${file} does not load on ${currentPlatform}: ${message}. ${REPLACE}`, {
      cause: error,
    });
  }
}

/**
 * `lib/` and the addon change together, so an addon of another version would fail in ways that are hard to understand.
 *
 * @param {string} file
 * @param {typeof import('../native/binding')} addon
 */
function verified(file, addon) {
  if (addon.VERSION !== version) {
    throw new Error(
      `datasoup is ${version}, but ${file} is ${addon.VERSION ?? 'of an unknown, older version'}. ${REPLACE}`,
    );
  }
  return addon;
}
