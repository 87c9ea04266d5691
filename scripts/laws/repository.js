'use strict';

// The files of the repository as the laws read them, and the views of a source text that they need.

const { readFileSync, readdirSync } = require('node:fs');
const path = require('node:path');

/** Directories that hold nothing written by hand. */
const SKIPPED = new Set([
  '.git',
  'node_modules',
  'target',
  'native',
  'docs/api',
  'fuzz/artifacts',
  'fuzz/corpus',
  'fuzz/target',
]);

class Repository {
  /** @type {Map<string, string>} */
  #texts;

  /** @param {Iterable<[string, string]>} texts By path from the root, with `/`. */
  constructor(texts) {
    this.#texts = new Map(texts);
  }

  /**
   * Reads a checkout. Needs no git, so that an exported tree can be checked as well.
   * @param {string} root
   */
  static read(root) {
    /** @type {[string, string][]} */
    const texts = [];
    const visit = (/** @type {string} */ directory) => {
      for (const entry of readdirSync(path.join(root, directory), { withFileTypes: true })) {
        const name = path.posix.join(directory, entry.name);
        if (SKIPPED.has(name) || SKIPPED.has(entry.name)) continue;
        if (entry.isDirectory()) visit(name);
        else if (entry.isFile()) texts.push([name, readFileSync(path.join(root, name), 'utf8')]);
      }
    };
    visit('');
    return new Repository(texts.sort(([a], [b]) => (a < b ? -1 : 1)));
  }

  get paths() {
    return [...this.#texts.keys()];
  }

  /** @param {string} file */
  has(file) {
    return this.#texts.has(file);
  }

  /** @param {string} file */
  text(file) {
    const text = this.#texts.get(file);
    if (text === undefined) throw new Error(`no such file: ${file}`);
    return text;
  }

  /** @param {RegExp} pattern */
  matching(pattern) {
    return this.paths.filter((file) => pattern.test(file));
  }
}

const RUST_TRIVIA =
  /\/\/.*|\/\*[\s\S]*?\*\/|\br(#*)"[\s\S]*?"\1|"(?:\\[\s\S]|[^"\\])*"|'(?:\\[^']+|[^'\\])'/g;
const JAVASCRIPT_TRIVIA =
  /\/\/.*|\/\*[\s\S]*?\*\/|'(?:\\.|[^'\\\n])*'|"(?:\\.|[^"\\\n])*"|`(?:\\[\s\S]|[^`\\])*`/g;

/** @param {string} text */
const newlines = (text) => text.replace(/[^\n]/g, '');

/**
 * A source text without its comments. Strings stay, or are emptied. Lines keep their numbers.
 * @param {string} file
 * @param {string} text
 * @param {{ strings: boolean }} options
 */
function code(file, text, { strings }) {
  const trivia = file.endsWith('.rs') ? RUST_TRIVIA : JAVASCRIPT_TRIVIA;
  return text.replace(trivia, (match) => {
    if (match.startsWith('//') || match.startsWith('/*')) return newlines(match);
    return strings ? match : `""${newlines(match)}`;
  });
}

/**
 * The comments of a source text, by line.
 * @param {string} file
 * @param {string} text
 * @returns {{ line: number, text: string }[]}
 */
function comments(file, text) {
  const trivia = file.endsWith('.rs') ? RUST_TRIVIA : JAVASCRIPT_TRIVIA;
  return [...text.matchAll(trivia)]
    .filter(([match]) => match.startsWith('//') || match.startsWith('/*'))
    .flatMap((match) => {
      const first = lineOf(text, match.index);
      return match[0].split('\n').map((part, index) => ({ line: first + index, text: part }));
    });
}

/**
 * @param {string} text
 * @param {number} index
 */
function lineOf(text, index) {
  return text.slice(0, index).split('\n').length;
}

/**
 * The end of the block or statement that starts at `from`: after its `}` or `;`.
 * @param {string} text Without comments and strings.
 * @param {number} from
 */
function endOfItem(text, from) {
  let depth = 0;
  for (let at = from; at < text.length; at += 1) {
    const char = text[at];
    if (char === '{') depth += 1;
    else if (char === '}' && --depth === 0) return at + 1;
    else if (char === ';' && depth === 0) return at + 1;
  }
  return text.length;
}

/**
 * Rust code without comments, strings and items that are compiled for tests only.
 * @param {string} text
 */
function rustWithoutTests(text) {
  const stripped = code('x.rs', text, { strings: false });
  let result = '';
  let at = 0;
  for (const match of stripped.matchAll(/#\[cfg\(test\)\]/g)) {
    if (match.index < at) continue;
    const end = endOfItem(stripped, match.index + match[0].length);
    result += stripped.slice(at, match.index) + newlines(stripped.slice(match.index, end));
    at = end;
  }
  return result + stripped.slice(at);
}

module.exports = { Repository, code, comments, lineOf, rustWithoutTests };
