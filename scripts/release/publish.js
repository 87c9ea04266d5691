'use strict';

const { execFileSync } = require('node:child_process');
const { createHash } = require('node:crypto');
const { readFileSync } = require('node:fs');

const { npm } = require('./packages');

/**
 * Publishes packages one after the other, so that a published `datasoup` always has its binaries. Packages that the
 * registry already has are skipped, so a release that failed halfway can be repeated.
 *
 * @param {string[]} files Tarballs; `datasoup` comes last.
 * @param {object} options
 * @param {string} options.tag
 * @param {boolean} options.provenance Whether npm attests where the packages were built; only a workflow can.
 * @param {string[]} [options.npmOptions]
 * @returns {Promise<string[]>} What was published.
 */
async function publish(files, { tag, provenance, npmOptions = [] }) {
  const published = [];
  const registry = (await npm(['config', 'get', 'registry', ...npmOptions])).trim();

  for (const file of files) {
    const { name, version, integrity } = identity(file);
    const there = await integrityIn(registry, name, version);

    if (there !== undefined && there !== integrity) {
      throw new Error(
        `the registry has ${name}@${version} with other contents: release the next version`,
      );
    }
    if (there === undefined) {
      const options = ['--access=public', `--tag=${tag}`, ...npmOptions];
      if (provenance) options.push('--provenance');
      await npm(['publish', file, ...options]);
      published.push(`${name}@${version}`);
    }
    console.log(`${there === undefined ? 'published' : 'was published'}: ${name}@${version}`);
  }
  return published;
}

/** @param {string} file */
function identity(file) {
  const manifest = execFileSync('tar', ['-xzOf', file, 'package/package.json']).toString();
  const hash = createHash('sha512').update(readFileSync(file)).digest('base64');

  return { ...JSON.parse(manifest), integrity: `sha512-${hash}` };
}

/**
 * @param {string} registry
 * @param {string} name
 * @param {string} version
 * @returns {Promise<string | undefined>} undefined if the registry lacks the version.
 */
async function integrityIn(registry, name, version) {
  const response = await fetch(
    new URL(name.replace('/', '%2f'), `${registry}/`.replace(/\/+$/, '/')),
  );

  if (response.status === 404) return undefined;
  if (!response.ok) throw new Error(`${response.url} answers ${response.status}`);

  const { versions } = /** @type {any} */ (await response.json());
  return versions[version]?.dist.integrity;
}

exports.publish = publish;
