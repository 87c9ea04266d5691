'use strict';

// The laws of the JavaScript and TypeScript files: what they require, and in which direction.

const path = require('node:path');

const { circles } = require('./circles');
const { code } = require('./repository');

/** @typedef {InstanceType<typeof import('./repository').Repository>} Repository */

const ROOMS = ['lib', 'bench', 'robustness', 'examples', 'scripts', '__test__'];

/**
 * The modules that a file requires or imports when it runs. Types that JSDoc imports do not count, as they are in
 * comments.
 * @param {Repository} repository
 * @param {string} file
 * @returns {string[]}
 */
function required(repository, file) {
  const text = code(file, repository.text(file), { strings: true });
  const pattern =
    /\brequire\(\s*'([^']+)'\s*\)|^\s*(?:import|export)\b(?!\s+type\b)[^;]*?\bfrom '([^']+)'|^\s*import '([^']+)'/gm;
  return [...text.matchAll(pattern)].map((match) => match[1] ?? match[2] ?? match[3]);
}

/**
 * @param {Repository} repository
 * @param {string} file
 * @param {string} name
 */
function resolve(repository, file, name) {
  const base = path.posix.join(path.posix.dirname(file), name);
  const candidates = [base, ...['.js', '.ts', '.mjs', '/index.js'].map((end) => base + end)];
  return candidates.find((it) => repository.has(it)) ?? base;
}

/** @param {Repository} repository */
function noCircles(repository) {
  return ROOMS.flatMap((room) => {
    const files = repository.matching(new RegExp(`^${room}/.*\\.(js|mjs|ts)$`));
    const graph = new Map(
      files.map((file) => {
        const near = required(repository, file).filter((name) => name.startsWith('.'));
        return [file, near.map((name) => resolve(repository, file, name))];
      }),
    );
    return circles(graph).map((members) => `circle: ${members.join(' ↔ ')}`);
  });
}

/**
 * `lib/` requires itself, Node.js and the dependencies of package.json; `lib/native.js` alone finds the addon.
 * @param {Repository} repository
 */
function libPointsDown(repository) {
  const dependencies = Object.keys(JSON.parse(repository.text('package.json')).dependencies ?? {});
  const found = [];
  for (const file of repository.matching(/^lib\/.*\.js$/)) {
    for (const name of required(repository, file)) {
      if (name.startsWith('node:') || dependencies.includes(name)) continue;
      const target = name.startsWith('.') ? resolve(repository, file, name) : name;
      if (!target.startsWith('lib/') && target !== 'package.json') {
        found.push(`${file}: requires ${name}, which lib/ may not`);
      }
    }
  }
  return found;
}

module.exports = { libPointsDown, noCircles };
