'use strict';

// The laws of what documents and comments name: links, files, tests, symbols and commands exist.

const path = require('node:path');

const { code, comments } = require('./repository');

/** @typedef {InstanceType<typeof import('./repository').Repository>} Repository */

/** The documents that name symbols of mediasoup as well as ours. Symbols in them are not checked. */
const WITH_FOREIGN_SYMBOLS = /^(docs\/(mediasoup-compat|migration)|CHANGELOG)\.md$/;

/** Names of Linux and of sctp-proto that the other documents mention, although no code of ours has them. */
const FOREIGN = new Set(['rmem_max', 'expire_inflight_messages', 'get_data_packets_to_retransmit']);

const EXTENSION = '(?:rs|js|mjs|cjs|ts|mts|md|json|toml|sh|svg|yml)';
const FILE_NAME = new RegExp(`(?<![\\w./@-])[\\w./-]*\\w\\.${EXTENSION}(?![\\w/-]|\\.\\w)`, 'g');
const DIRECTORY_NAME =
  /(?<![\w./@…-])(?:src|lib|tests|bench|benches|docs|fuzz|examples|robustness|scripts|crates|__test__)\/[\w/.-]*\w(?![\w…*<-])/g;

/** Files that documents name though no checkout has them: files of users, and files that a build makes. */
const ELSEWHERE =
  /^(?:native\/|binding\.(?:js|d\.ts)$|docs\/api|node_modules\/|target\/|fuzz\/(?:corpus|artifacts|target)\b|\.\.\/|Node\.js$)/;

/**
 * Splits Markdown into prose and code blocks, by line.
 * @param {string} text
 */
function linesOf(text) {
  let fence = '';
  return text.split('\n').map((line, index) => {
    const [, mark, language] = /^\s*(```+)(\w*)/.exec(line) ?? [];
    if (mark) fence = fence === '' ? language || 'text' : '';
    return { line: index + 1, text: line, block: mark ? 'mark' : fence };
  });
}

/** @param {Repository} repository */
const documents = (repository) => repository.matching(/\.md$/);

/** @param {string} heading */
function slug(heading) {
  return heading
    .toLowerCase()
    .replace(/[`*]|\[|\]\([^)]*\)/g, '')
    .replace(/[^\p{L}\p{N} _-]/gu, '')
    .replaceAll(' ', '-');
}

/** @param {Repository} repository */
function linksWork(repository) {
  const found = [];
  for (const file of documents(repository)) {
    for (const { line, text, block } of linesOf(repository.text(file))) {
      if (block) continue;
      for (const [, target] of text.matchAll(/\]\(([^)\s]+)\)/g)) {
        if (/^[a-z]+:/.test(target)) continue;
        const [name, anchor] = target.split('#');
        const to = name === '' ? file : path.posix.join(path.posix.dirname(file), name);
        if (!exists(repository, to)) {
          found.push(`${file}:${line}: links to ${target}, which does not exist`);
        } else if (anchor && to.endsWith('.md')) {
          const slugs = linesOf(repository.text(to))
            .filter((it) => !it.block && it.text.startsWith('#'))
            .map((it) => slug(it.text.replace(/^#+ /, '')));
          if (!slugs.includes(anchor)) {
            found.push(`${file}:${line}: links to ${target}, which has no such heading`);
          }
        }
      }
    }
  }
  return found;
}

/** @type {WeakMap<Repository, Set<string>>} */
const tails = new WeakMap();

/**
 * Whether there is such a file or directory.
 * @param {Repository} repository
 * @param {string} name From the root, with or without the extension of a source file.
 */
function exists(repository, name) {
  return [name, `${name}.rs`, `${name}.js`].some((it) =>
    ends(repository).has(`/${it.replace(/\/$/, '')}`),
  );
}

/**
 * Whether there is a file or directory whose path ends with `name`.
 * @param {Repository} repository
 * @param {string} name
 */
function existsSomewhere(repository, name) {
  const tail = name.replace(/^\.\//, '').replace(/\/$/, '');
  return [tail, `${tail}.rs`, `${tail}.js`, `${tail}.test.ts`].some((it) =>
    ends(repository).has(it),
  );
}

/**
 * All endings of all paths, each from one component on. Endings that are whole paths begin with `/`.
 * @param {Repository} repository
 */
function ends(repository) {
  let all = tails.get(repository);
  if (!all) {
    all = new Set();
    for (const file of repository.paths) {
      const names = file.split('/');
      for (let last = 1; last <= names.length; last += 1) {
        all.add(`/${names.slice(0, last).join('/')}`);
        for (let first = 0; first < last; first += 1) all.add(names.slice(first, last).join('/'));
      }
    }
    tails.set(repository, all);
  }
  return all;
}

/**
 * The names of files in a line.
 * @param {string} text
 */
function filesIn(text) {
  const plain = text.replace(/\w+:\/\/\S+/g, '');
  const names = [...plain.matchAll(FILE_NAME), ...plain.matchAll(DIRECTORY_NAME)].map(([it]) => it);
  return new Set(names.filter((it) => !ELSEWHERE.test(it) && !it.startsWith('/')));
}

/** @param {Repository} repository */
function filesExist(repository) {
  /** @type {string[]} */
  const found = [];
  const check = (
    /** @type {string} */ file,
    /** @type {number} */ line,
    /** @type {string} */ text,
  ) => {
    for (const name of filesIn(text)) {
      const beside = path.posix.join(path.posix.dirname(file), name);
      if (!exists(repository, beside) && !existsSomewhere(repository, name)) {
        found.push(`${file}:${line}: names ${name}, which does not exist`);
      }
    }
  };
  for (const file of documents(repository)) {
    for (const { line, text, block } of linesOf(repository.text(file))) {
      if (block === 'text' || block === 'sh') check(file, line, text);
      else if (!block) {
        // In prose, only text in backticks or in a table is taken as a file name; links have a law of their own.
        const spans = [...text.matchAll(/`([^`]+)`/g)].map(([, span]) => span);
        const cells = text.startsWith('|') ? [text.replace(/`[^`]*`|\]\([^)]*\)/g, '')] : [];
        for (const part of [...spans, ...cells]) check(file, line, part);
      }
    }
  }
  for (const file of repository.matching(/\.(rs|js|mjs|ts|mts|sh|toml|yml)$|^\.ci\/run$/)) {
    const lines = /\.(sh|toml|yml)$|^\.ci/.test(file)
      ? repository
          .text(file)
          .split('\n')
          .map((text, index) => ({ line: index + 1, text }))
          .filter(({ text }) => /^\s*#/.test(text))
      : comments(file, repository.text(file));
    for (const { line, text } of lines) check(file, line, text);
  }
  return found;
}

/**
 * Each file of `lib/`, and each directly in a room of `src/`, is in the map of ARCHITECTURE.md.
 * @param {Repository} repository
 */
function mapIsWhole(repository) {
  const map = linesOf(repository.text('docs/ARCHITECTURE.md')).filter(({ block }) => block);
  const names = new Set(map.flatMap(({ text }) => text.match(/\w+/g) ?? []));
  return repository
    .matching(/^lib\/.*\.js$|^src\/\w+\/\w+\.rs$/)
    .filter((file) => !names.has(path.posix.parse(file).name))
    .map((file) => `${file}: is not in the map of docs/ARCHITECTURE.md`);
}

/**
 * CONTRIBUTING.md and RELEASING.md name each long program.
 * @param {Repository} repository
 */
function programsAreNamed(repository) {
  const index = 'robustness/index.js';
  if (!repository.has(index)) return [];
  const programs = [...repository.text(index).matchAll(/^  '(\w+)',$/gm)].map(([, name]) => name);
  return ['CONTRIBUTING.md', 'RELEASING.md'].flatMap((file) =>
    programs
      .filter((name) => !new RegExp(`\\b${name}\\b`).test(repository.text(file)))
      .map((name) => `${file}: does not name the program ${name} of robustness/`),
  );
}

/**
 * `npm run NAME`, `cargo … --test NAME`, `--bench NAME` and `--example NAME` in documents and comments.
 * @param {Repository} repository
 */
function commandsExist(repository) {
  const { scripts } = JSON.parse(repository.text('package.json'));
  const cargo = repository.has('Cargo.toml') ? repository.text('Cargo.toml') : '';
  const targets = [...cargo.matchAll(/^name = "([^"]+)"/gm)].map(([, name]) => name);
  const tests = repository
    .matching(/^tests\/(\w+\.rs|\w+\/main\.rs)$/)
    .map((file) => /^tests\/(\w+)/.exec(file)?.[1]);
  const found = [];
  for (const file of repository.matching(/\.(md|rs|js|ts|sh|toml|yml)$|^\.ci\/run$/)) {
    for (const [index, text] of repository.text(file).split('\n').entries()) {
      for (const [, name] of text.matchAll(/\bnpm run (?:--silent )?([a-z][\w:]*\w)/g)) {
        if (!(name in scripts)) found.push(`${file}:${index + 1}: npm run ${name} does not exist`);
      }
      for (const [, kind, name] of text.matchAll(
        /\bcargo [^`]*--(test|bench|example)[ =]([a-z][\w-]*)/g,
      )) {
        if (!(kind === 'test' ? tests : targets).includes(name)) {
          found.push(`${file}:${index + 1}: cargo --${kind} ${name} does not exist`);
        }
      }
    }
  }
  return found;
}

/** @type {WeakMap<Repository, Set<string>>} */
const words = new WeakMap();

/**
 * Every word of the code, comments not counted: names, and what strings are made of (events, options).
 * @param {Repository} repository
 */
function wordsOf(repository) {
  let all = words.get(repository);
  if (!all) {
    all = new Set();
    for (const file of repository.matching(/\.(rs|js|mjs|ts|mts)$/)) {
      const text = code(file, repository.text(file), { strings: true });
      for (const [word] of text.matchAll(/[\p{L}_$][\w$]*/gu)) all.add(word);
    }
    for (const file of repository.matching(
      /(^|\/)(Cargo\.toml|package\.json|clippy\.toml|deny\.toml)$/,
    )) {
      for (const [word] of repository.text(file).matchAll(/\w+/g)) all.add(word);
    }
    words.set(repository, all);
  }
  return all;
}

/**
 * Whether a file, or one of a module of that name, declares an item.
 * @param {Repository} repository
 * @param {string} owner A module, or a type.
 * @param {string} item
 */
function declares(repository, owner, item) {
  const named = new RegExp(`(^|/)${owner}(\\.rs|/.*\\.rs)$`);
  const typed = new RegExp(`\\b(impl|struct|enum|trait|class|interface)\\b[^{;\\n]*\\b${owner}\\b`);
  const word = new RegExp(`\\b${item}\\b`);
  return repository.matching(/\.(rs|js|ts)$/).some((file) => {
    const text = repository.text(file);
    return (
      (named.test(file) || typed.test(text)) && word.test(code(file, text, { strings: false }))
    );
  });
}

/**
 * Names in backticks that can only be a symbol: with `_`, `::`, `.` or `()`, or in camelCase; `…` stands for the rest
 * of a name.
 * @param {string} span
 */
function symbolIn(span) {
  const text = span.replace(/\(.*\)$/, '()').replace(/^(?:await |new )/, '');
  if (!/^[\p{L}_$][\w$]*(?:(?:::|\.)[\p{L}_$][\w$]*)*(?:\(\)|…)?$/u.test(text)) return undefined;
  if (new RegExp(`\\.${EXTENSION}$`).test(text)) return undefined;
  const marked = /[_.:]|\(\)$|[a-z][A-Z]/.test(text);
  return marked ? text : undefined;
}

/** @param {Repository} repository */
function symbolsExist(repository) {
  const all = wordsOf(repository);
  const known = [...all];
  const found = [];
  for (const file of documents(repository).filter((it) => !WITH_FOREIGN_SYMBOLS.test(it))) {
    for (const { line, text, block } of linesOf(repository.text(file))) {
      if (block) continue;
      for (const [, span] of text.matchAll(/`([^`]+)`/g)) {
        const symbol = symbolIn(span);
        // `__test__/metrics.test.ts` compares the names of metrics with those that exist.
        if (!symbol || symbol.startsWith('datasoup_')) continue;
        const names = symbol.replace(/\(\)$|…$/, '').split(/::|\./);
        const last = names[names.length - 1];
        const owner = names[names.length - 2];
        const missing = symbol.endsWith('…')
          ? !known.some((word) => word.startsWith(last))
          : names.some((name) => !all.has(name) && !existsSomewhere(repository, name));
        const misplaced =
          !missing &&
          symbol.includes('::') &&
          !symbol.endsWith('…') &&
          !/^(std|libc|tokio|clippy)$/.test(names[0])
            ? !declares(repository, owner, last)
            : false;
        if ((missing || misplaced) && !names.some((name) => FOREIGN.has(name))) {
          found.push(`${file}:${line}: names ${symbol}, which does not exist`);
        }
      }
    }
  }
  return found;
}

/**
 * The package and the crate have one version.
 * @param {Repository} repository
 */
function versionsAgree(repository) {
  const { version } = JSON.parse(repository.text('package.json'));
  const [, ofCrate] = /^version = "([^"]+)"/m.exec(repository.text('Cargo.toml')) ?? [];
  const found =
    ofCrate === version ? [] : [`Cargo.toml: version ${ofCrate}, package.json: ${version}`];
  if (!repository.text('CHANGELOG.md').includes(`## [${version}]`)) {
    found.push(`CHANGELOG.md: has no section for ${version}`);
  }
  return found;
}

module.exports = {
  commandsExist,
  filesExist,
  linksWork,
  mapIsWhole,
  programsAreNamed,
  symbolsExist,
  versionsAgree,
};
