'use strict';

// The licences of everything linked into an addon: of each crate, and of Rust's standard library.
//
// All licence files of a crate are copied as they are. Tools that look for one known text per licence would miss some:
// aws-lc's file is a collection, and Rust's library is not a crate.

const { execFileSync } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');

const ROOT = path.join(__dirname, '..', '..');

/** @typedef {{ name: string, license: string, texts: string[] }} Component */

/** @param {string[]} args */
const cargo = (...args) =>
  execFileSync('cargo', args, { cwd: ROOT, maxBuffer: 2 ** 28, stdio: ['ignore', 'pipe', 'pipe'] });

const LICENSE_FILE = /^(licen[cs]e|copying|copyright|notice|unlicense)/i;

/** The crates of the lock file, for all targets. */
function allCrates() {
  const features = ['--features', 'node'];
  const { packages } = JSON.parse(
    cargo('metadata', '--locked', '--format-version=1', ...features).toString(),
  );

  return new Map(packages.map((/** @type {any} */ it) => [`${it.name} v${it.version}`, it]));
}

/**
 * The names of the linked crates, without those that run only at compile time.
 * @param {string} target
 */
function linked(target) {
  const what = ['--edges=normal,no-proc-macro', '--features=node', `--target=${target}`];
  const lines = cargo('tree', '--locked', '--prefix=none', '--format={p}', ...what).toString();
  const names = lines.split('\n').map((line) => line.replace(/ \(.*/, ''));

  return [...new Set(names.filter((name) => name !== ''))].sort();
}

/**
 * @param {any} crate
 * @returns {Component}
 */
function component({ name, version, license, license_file, manifest_path, authors, repository }) {
  const folder = path.dirname(manifest_path);
  const files = fs.readdirSync(folder).filter((file) => LICENSE_FILE.test(file));
  if (license_file && !files.includes(license_file)) files.push(license_file);
  const texts = files
    .map((file) => path.join(folder, file))
    .filter((file) => fs.statSync(file).isFile())
    .map((file) => fs.readFileSync(file, 'utf8'));
  const title = `${name} ${version}`;

  if (texts.length === 0) {
    if (!/\bMIT\b/.test(license))
      throw new Error(`${title} has no licence file, and is ${license}`);
    texts.push(mit(authors.map((/** @type {string} */ it) => it.replace(/ <.*/, ''))));
  }
  return { name: `${title} (${repository ?? 'https://crates.io'})`, license, texts };
}

/** The text of the MIT licence for a crate that names it without including it. @param {string[]} authors */
function mit(authors) {
  const own = fs.readFileSync(path.join(ROOT, 'LICENSE'), 'utf8');

  return own.replace(/^Copyright .*$/m, `Copyright (c) ${authors.join(', ')}`);
}

/** Dependencies of Rust's standard library on systems that have no package. */
const OF_OTHER_SYSTEMS = /sgx|hermit|moto|r-efi|vex|wasi|wit-bindgen|dlmalloc|unwinding/;

/**
 * Rust's standard library and its dependencies, from the page that comes with the compiler.
 * @returns {Component[]}
 */
function standardLibrary() {
  const sysroot = execFileSync('rustc', ['--print=sysroot'], { cwd: ROOT }).toString().trim();
  const file = path.join(sysroot, 'share', 'doc', 'rust', 'COPYRIGHT-library.html');
  const [own, ...others] = fs.readFileSync(file, 'utf8').split('<h3>');
  const plain = (/** @type {string} */ html) =>
    html
      .replace(/<[^>]*>/g, '')
      .replace(/&#(\d+);/g, (_, code) => String.fromCodePoint(Number(code)))
      .replace(/&quot;/g, '"')
      .replace(/&lt;/g, '<')
      .replace(/&gt;/g, '>')
      .replace(/&amp;/g, '&')
      .replace(/^\s+$/gm, '')
      .replace(/\n{3,}/g, '\n\n')
      .trim();
  const license = (/** @type {string} */ html) =>
    plain(/License:<\/b>([^]*?)<\/p>/.exec(html)?.[1] ?? '');

  const title = (/** @type {string} */ html) => /[\w-]+-\d[\w.+-]*/.exec(html)?.[0] ?? '';

  return [
    { name: "Rust's standard library", license: license(own), texts: [plain(own)] },
    ...others
      .filter((html) => !OF_OTHER_SYSTEMS.test(title(html)))
      .map((html) => ({
        name: `${title(html)}, part of Rust's standard library`,
        license: license(html),
        texts: [...html.matchAll(/<pre[^>]*>([^]*?)<\/pre>/g)].map(([, text]) => plain(text)),
      })),
  ];
}

/** What many licence files have in common, word for word, by what replaces it from the second time on. */
const TERMS = {
  'the terms and conditions of the Apache License 2.0, as above':
    /TERMS AND CONDITIONS FOR USE,[^]*END OF TERMS AND CONDITIONS/,
  'the permission and disclaimer of the MIT licence, as above':
    /Permission\s+is\s+hereby\s+granted,\s+free\s+of\s+charge[^]*?\sSOFTWARE\./,
};

/** Ignores how a text is broken into lines. @param {string} text */
const words = (text) => text.replace(/\s+/g, ' ').trim();

/**
 * The file for a binary package: each text once, below all components that it belongs to. Copies of the Apache and MIT
 * licences differ only in the notices around their terms, so the terms appear once too.
 * @param {Component[]} components
 */
function format(components) {
  /** @type {Map<string, { names: string[], text: string }>} */
  const byText = new Map();
  for (const { name, texts } of components) {
    for (const text of texts) {
      const key = words(text);
      const entry = byText.get(key) ?? { names: [], text: text.replace(/\r/g, '').trim() };
      if (!entry.names.includes(name)) entry.names.push(name);
      byText.set(key, entry);
    }
  }
  const rule = '='.repeat(80);
  const seen = new Set();
  const shortened = (/** @type {string} */ text) =>
    Object.entries(TERMS).reduce(
      (whole, [reference, terms]) =>
        whole.replace(terms, (it) => {
          if (seen.has(words(it))) return `[${reference}]`;
          seen.add(words(it));
          return it;
        }),
      text,
    );

  return [
    'The binary in this package contains the following software, under these licences:',
    components.map(({ name, license }) => `- ${name}: ${license}`).join('\n'),
    ...[...byText.values()].flatMap(({ names, text }) => [
      rule,
      names.map((name) => `${name}:`).join('\n'),
      shortened(text),
    ]),
    '',
  ].join('\n\n');
}

/**
 * Texts for the addon of each target.
 * @param {string[]} targets
 * @returns {Map<string, string>}
 */
function licenses(targets) {
  const crates = allCrates();
  const library = standardLibrary();

  return new Map(
    targets.map((target) => {
      const names = linked(target).filter((name) => !name.startsWith('datasoup '));

      return [target, format([...names.map((name) => component(crates.get(name))), ...library])];
    }),
  );
}

exports.licenses = licenses;
