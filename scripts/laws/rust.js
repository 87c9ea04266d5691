'use strict';

// The laws of the Rust code, and the graph of its files.

const path = require('node:path');

const { circles } = require('./circles');
const { code, lineOf, rustWithoutTests } = require('./repository');

/** @typedef {InstanceType<typeof import('./repository').Repository>} Repository */

/**
 * A module that is a file.
 * @typedef {object} Module
 * @property {string} file
 * @property {string} text Without comments, strings and tests.
 * @property {Module | undefined} parent
 * @property {Map<string, Module>} children
 * @property {string[][]} uses The paths that `use` imports.
 * @property {string[][]} exports The paths that `pub use` exports again.
 */

/** The rooms of `src/`, from the bottom: a room may name those before it. */
const ROOMS = ['proto', 'sfu', 'runtime', 'binding'];

/**
 * The crates of others, and for each the beginnings of the paths of the files that may name the crate.
 * @type {Record<string, string[]>}
 */
const OWNERS = {
  aws_lc_rs: ['src/proto/certificate', 'src/proto/dtls/'],
  crc32c: ['src/proto/sctp/wire.rs'],
  dimpl: ['src/proto/dtls', 'src/proto/certificate.rs'],
  libc: ['src/runtime/'],
  napi: ['src/binding/'],
  napi_derive: ['src/binding/'],
  pem_rfc7468: ['src/proto/certificate/'],
  quinn_udp: ['src/runtime/'],
  sctp_proto: ['src/proto/sctp/engine'],
  socket2: ['src/runtime/'],
  stun_types: ['src/proto/stun'],
  tokio: ['src/runtime/'],
  windows_sys: ['src/runtime/'],
};

/** The crates that every room may name. */
const OPEN = ['bytes', 'log', 'rand', 'rustc_hash', 'serde', 'serde_json', 'thiserror', 'uuid'];

const CLOCK = 'src/runtime/clock.rs';

/**
 * The types of `src/` that share a name with another one, and why a reader cannot confuse the two.
 * @type {Record<string, string>}
 */
const SHARED_NAMES = {
  Capture: 'the class in binding/, and what it stands for in sfu/',
  DataConsumer: 'the class in binding/, and the entity in sfu/',
  DataProducer: 'the class in binding/, and the entity in sfu/',
  Datagrams: 'the same interface for Linux and for other systems; one is compiled',
  Router: 'the class in binding/, and the entity in sfu/',
  Transport: 'the class in binding/, and the entity in sfu/',
  WebRtcServer: 'the class in binding/, and the entity in sfu/',
};

/**
 * `a::{b, c::d}` as the paths `a::b` and `a::c::d`. A name after `as` is left out; `*` is a name.
 * @param {string} tree
 * @returns {string[][]}
 */
function usePaths(tree) {
  const open = tree.indexOf('{');
  if (open === -1) {
    const names = tree.replace(/\bas\s+\w+/, '').split('::');
    return [names.map((it) => it.trim()).filter((it) => it !== '')];
  }
  const prefix = usePaths(tree.slice(0, open))[0];
  const parts = [];
  let depth = 0;
  let part = '';
  for (const char of tree.slice(open + 1, tree.lastIndexOf('}'))) {
    if (char === '{') depth += 1;
    if (char === '}') depth -= 1;
    if (char === ',' && depth === 0) {
      parts.push(part);
      part = '';
    } else {
      part += char;
    }
  }
  return [...parts, part]
    .filter((it) => it.trim() !== '')
    .flatMap((it) => usePaths(it).map((names) => [...prefix, ...names]));
}

/**
 * Reads a crate, file by file, from its root. Modules for tests alone are left out.
 * @param {Repository} repository
 * @param {string} file
 * @param {Module} [parent]
 * @returns {Module}
 */
function readCrate(repository, file, parent) {
  const text = rustWithoutTests(repository.text(file));
  /** @type {Module} */
  const module = { file, text, parent, children: new Map(), uses: [], exports: [] };
  for (const [, visibility, tree] of text.matchAll(/\b(pub(?:\([^)]*\))?\s+)?use\s+([^;]+);/g)) {
    (visibility ? module.exports : module.uses).push(...usePaths(tree));
  }
  const isRoot = parent === undefined || path.basename(file) === 'mod.rs';
  const directory = isRoot ? path.dirname(file) : file.replace(/\.rs$/, '');
  // This text keeps its strings, because the path in `#[path = "…"]` is a string.
  const attributed = code(file, repository.text(file), { strings: true });
  for (const [, name] of text.matchAll(/\bmod\s+(\w+)\s*;/g)) {
    const [, given] =
      new RegExp(`#\\[path = "([^"]+)"\\]\\s*(?:pub(?:\\([^)]*\\))? )?mod ${name};`).exec(
        attributed,
      ) ?? [];
    const candidates = given
      ? [path.posix.join(path.dirname(file), given)]
      : [`${directory}/${name}.rs`, `${directory}/${name}/mod.rs`];
    const child = candidates.find((it) => repository.has(it));
    if (child) module.children.set(name, readCrate(repository, child, module));
  }
  return module;
}

/**
 * The file that defines the item that a path names, if the file is part of this crate.
 * @param {Module} from
 * @param {string[]} names
 * @param {number} [depth] Of exports that lead to exports.
 * @returns {string | undefined}
 */
function resolve(from, names, depth = 0) {
  /** @type {Module | undefined} */
  let module = from;
  let rest = names;
  if (rest[0] === 'crate') {
    while (module?.parent) module = module.parent;
    rest = rest.slice(1);
  } else if (rest[0] === 'self') {
    rest = rest.slice(1);
  } else if (rest[0] !== 'super' && !from.children.has(rest[0])) {
    return undefined;
  }
  for (; rest[0] === 'super'; rest = rest.slice(1)) module = module?.parent;
  for (let child; (child = module?.children.get(rest[0])); rest = rest.slice(1)) module = child;
  if (!module) return undefined;
  const [item] = rest;
  if (item === undefined || depth > 8) return module.file;
  for (const exported of module.exports) {
    const last = exported.at(-1);
    if (last === item) return resolve(module, exported, depth + 1) ?? module.file;
    if (last === '*') {
      const file = resolve(module, [...exported.slice(0, -1), item], depth + 1);
      const text = file && findModule(module, file)?.text;
      if (text && new RegExp(`\\b(fn|struct|enum|trait|type|const|static) ${item}\\b`).test(text)) {
        return file;
      }
    }
  }
  return module.file;
}

/**
 * @param {Module} module
 * @returns {Iterable<Module>}
 */
function* modulesOf(module) {
  yield module;
  for (const child of module.children.values()) yield* modulesOf(child);
}

/**
 * @param {Module} module
 * @param {string} file
 */
function findModule(module, file) {
  let root = module;
  while (root.parent) root = root.parent;
  for (const it of modulesOf(root)) {
    if (it.file === file) return it;
  }
  return undefined;
}

/**
 * All paths into the crate that the code of a module names, in `use` or in passing. A path that
 * the module only exports again does not count: a file that lists its children does not depend on them.
 * @param {Module} module
 * @returns {string[][]}
 */
function namedPaths(module) {
  // A path in `pub(in …)` is not a dependency either.
  const body = module.text
    .replace(/\b(?:pub(?:\([^)]*\))?\s+)?use\s+[^;]+;/g, '')
    .replace(/\bpub\(in [^)]*\)/g, '');
  const children = [...module.children.keys()];
  const first = ['crate', 'super', 'self', ...children].join('|');
  const inPassing = [...body.matchAll(new RegExp(`(?<![\\w:])(?:${first})(?:::\\w+)+`, 'g'))];
  return [...module.uses, ...inPassing.map(([it]) => it.split('::'))];
}

/**
 * The files of a crate, and for each the files that it names.
 * @param {Module} root
 * @returns {Map<string, Set<string>>}
 */
function graph(root) {
  /** @type {Map<string, Set<string>>} */
  const edges = new Map();
  for (const module of modulesOf(root)) {
    const targets = namedPaths(module).map((names) => resolve(module, names));
    const others = targets.filter((it) => it !== undefined && it !== module.file);
    edges.set(module.file, new Set(/** @type {string[]} */ (others)));
  }
  return edges;
}

/** @param {Repository} repository */
function crateRoots(repository) {
  return repository.matching(/^src\/lib\.rs$|^(?!src\/|crates\/).*\/main\.rs$|^crates\/.*lib\.rs$/);
}

/** @param {Repository} repository */
function noCircles(repository) {
  const found = crateRoots(repository).flatMap((root) =>
    circles(graph(readCrate(repository, root))).map((members) => `circle: ${members.join(' ↔ ')}`),
  );
  // A file that several test programs include is read with each program, so a circle may be found more than once.
  return [...new Set(found)];
}

/** @param {string} file */
const roomOf = (file) => ROOMS.indexOf(/^src\/(\w+)[/.]/.exec(file)?.[1] ?? '');

/** @param {Repository} repository */
function roomsPointDown(repository) {
  if (!repository.has('src/lib.rs')) return [];
  const found = [];
  for (const [file, targets] of graph(readCrate(repository, 'src/lib.rs'))) {
    for (const target of targets) {
      if (roomOf(file) !== -1 && roomOf(target) > roomOf(file)) {
        found.push(`${file}: names ${target}, a room above it`);
      }
      if (roomOf(file) !== -1 && target === 'src/lib.rs') {
        found.push(`${file}: names the root of the crate`);
      }
    }
  }
  return found;
}

/**
 * Where a pattern occurs in the code of `src/`, tests not counted.
 * @param {Repository} repository
 * @param {RegExp} pattern With `g`.
 */
function occurrences(repository, pattern) {
  const tests = testFiles(repository);
  return repository
    .matching(/^src\/.*\.rs$/)
    .filter((file) => !tests.has(file))
    .flatMap((file) => {
      const text = rustWithoutTests(repository.text(file));
      return [...text.matchAll(pattern)].map((match) => ({
        file,
        line: lineOf(text, match.index),
        text: match[0],
      }));
    });
}

/**
 * The files of `src/` that only tests use: no module of the released crate declares them.
 * @param {Repository} repository
 */
function testFiles(repository) {
  if (!repository.has('src/lib.rs')) return new Set();
  const released = [...modulesOf(readCrate(repository, 'src/lib.rs'))].map((it) => it.file);
  return new Set(repository.matching(/^src\/.*\.rs$/).filter((file) => !released.includes(file)));
}

/**
 * The crates that Cargo.toml has for what is released.
 * @param {Repository} repository
 */
function dependencies(repository) {
  const sections = repository.text('Cargo.toml').split(/^(?=\[)/m);
  return sections
    .filter((it) => /^\[(?:target\..*\.)?dependencies\]/.test(it))
    .flatMap((it) =>
      [...it.matchAll(/^([\w-]+) *=/gm)].map(([, name]) => name.replaceAll('-', '_')),
    );
}

/** @param {Repository} repository */
function cratesHaveOwners(repository) {
  const pattern = new RegExp(`\\b(?:${Object.keys(OWNERS).join('|')})(?=::|;| as )`, 'g');
  return [
    ...dependencies(repository)
      .filter((name) => !OPEN.includes(name) && !Object.hasOwn(OWNERS, name))
      .map(
        (name) =>
          `Cargo.toml: ${name} has neither an owner in scripts/laws/rust.js nor is it open to all`,
      ),
    ...occurrences(repository, pattern)
      .filter(({ file, text }) => !OWNERS[text].some((owner) => file.startsWith(owner)))
      .map(({ file, line, text }) => `${file}:${line}: names ${text}, as only ${OWNERS[text]} may`),
  ];
}

/** @param {Repository} repository */
function oneClock(repository) {
  return occurrences(repository, /\b(?:Instant|SystemTime)::now\b|\bclock_gettime\b|\.elapsed\(\)/g)
    .filter(({ file }) => file !== CLOCK)
    .map(
      ({ file, line, text }) => `${file}:${line}: ${text} reads the clock, which only ${CLOCK} may`,
    );
}

/**
 * `unsafe_code` is allowed in the files that the paragraph of ARCHITECTURE.md on `unsafe_code` names, and in no other.
 * @param {Repository} repository
 */
function unsafeIsListed(repository) {
  const document = 'docs/ARCHITECTURE.md';
  const paragraphs = repository.text(document).split(/\n\s*\n|\n(?=[-|] )/);
  const listed = paragraphs
    .filter((it) => it.includes('unsafe_code'))
    .flatMap((it) => [...it.matchAll(/`((?:src\/)?(?:binding|runtime|sfu|proto)[\w/.]*)`/g)])
    .map(([, name]) => (name.startsWith('src/') ? name : `src/${name}`).replace(/\/$/, ''));
  const allowing = repository
    .matching(/^src\/.*\.rs$/)
    .filter((file) => /\b(?:allow|expect)\(unsafe_code\b/.test(repository.text(file)));
  const isFor = (/** @type {string} */ name, /** @type {string} */ file) =>
    file === name || file === `${name}/mod.rs` || file === `${name}.rs`;
  return [
    ...allowing
      .filter((file) => !listed.some((name) => isFor(name, file)))
      .map((file) => `${file}: allows unsafe_code, and ${document} does not list it`),
    ...listed
      .filter((name) => !allowing.some((file) => isFor(name, file)))
      .map((name) => `${document}: lists ${name} for unsafe_code, which does not allow it`),
  ];
}

/**
 * Each type of `src/` has a name of its own, types of tests not counted. `SHARED_NAMES` has the exceptions.
 * @param {Repository} repository
 */
function typesHaveOneMeaning(repository) {
  /** @type {Map<string, string[]>} */
  const places = new Map();
  // An associated type begins within a line of a trait or an `impl`.
  const types = /(?:\b(?:struct|enum|union|trait)|^(?:pub(?:\([^)]*\))? )?type) \w+/gm;
  for (const { file, line, text } of occurrences(repository, types)) {
    const [name] = /\w+$/.exec(text) ?? [''];
    places.set(name, [...(places.get(name) ?? []), `${file}:${line}`]);
  }
  return [...places]
    .filter(([name, [, ...others]]) => others.length > 0 !== name in SHARED_NAMES)
    .map(([name, all]) =>
      all.length > 1
        ? `${name} names several types: ${all.join(', ')}`
        : `${all[0]}: ${name} has become the only type of its name: remove it from SHARED_NAMES`,
    );
}

module.exports = {
  cratesHaveOwners,
  noCircles,
  oneClock,
  roomsPointDown,
  typesHaveOneMeaning,
  unsafeIsListed,
};
