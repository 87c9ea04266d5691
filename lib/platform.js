'use strict';

const { readBinary } = require('./binary');

// The platforms that have a package with the addon, and the one of this process.

/**
 * The addon of each platform, resolved like any package. The names are literals, so that bundlers and tracers see them.
 *
 * @type {Record<string, () => string>}
 */
const PACKAGES = {
  'linux-x64-gnu': () => require.resolve('@datasoup/linux-x64-gnu'),
  'linux-arm64-gnu': () => require.resolve('@datasoup/linux-arm64-gnu'),
  'linux-x64-musl': () => require.resolve('@datasoup/linux-x64-musl'),
  'linux-arm64-musl': () => require.resolve('@datasoup/linux-arm64-musl'),
  'darwin-x64': () => require.resolve('@datasoup/darwin-x64'),
  'darwin-arm64': () => require.resolve('@datasoup/darwin-arm64'),
  'win32-x64-msvc': () => require.resolve('@datasoup/win32-x64-msvc'),
  'win32-arm64-msvc': () => require.resolve('@datasoup/win32-arm64-msvc'),
};

/** The suffix by which platforms of one system and processor differ. */
function abi() {
  switch (process.platform) {
    case 'linux':
      // What counts is the libc that this program was linked with, not others on the machine.
      return readBinary(process.execPath)?.interpreter?.includes('ld-musl') ? '-musl' : '-gnu';
    case 'win32':
      return '-msvc';
    default:
      return '';
  }
}

/** @param {string} platform */
function addonOf(platform) {
  try {
    return PACKAGES[platform]?.();
  } catch {
    return undefined;
  }
}

exports.platforms = Object.keys(PACKAGES);
exports.currentPlatform = `${process.platform}-${process.arch}${abi()}`;
exports.addonOf = addonOf;
