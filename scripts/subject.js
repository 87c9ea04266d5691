'use strict';

// npm run test:subject -- SUBJECT
//
// Runs the tests of one subject in both languages. The subject is a word, such as sctp, subchannel or consent. Of
// cargo: the folders of tests/ that are named after it, then all tests with the word in their module or name. Of Jest:
// the files that are named after it, and in other files the tests with the word in their title.

const { spawnSync } = require('node:child_process');
const { existsSync, readdirSync, readFileSync } = require('node:fs');
const path = require('node:path');

const ROOT = path.join(__dirname, '..');
const TESTS = '__test__';
/** Folders of Jest projects that are left out, because they need more than the package. */
const OTHERS = /^(browser|package|registry|usrsctp|types)\//;

/**
 * @param {string} title The heading that is printed before the output.
 * @param {string} program
 * @param {string[]} args
 */
function run(title, program, args) {
  console.log(`\n=== ${title}`);
  return spawnSync(program, args, { cwd: ROOT, stdio: 'inherit' }).status === 0;
}

/**
 * The folders of tests/ that are named after the subject. Each is one test binary, whose name cargo's filter ignores.
 *
 * @param {string} subject
 */
function cargoTargets(subject) {
  return readdirSync(path.join(ROOT, 'tests'))
    .filter((name) => existsSync(path.join(ROOT, 'tests', name, 'main.rs')))
    .filter((name) => name.includes(subject.toLowerCase()));
}

/** @param {string} subject */
function jestFiles(subject) {
  const word = subject.toLowerCase();
  const files = readdirSync(path.join(ROOT, TESTS), { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.test.ts') && !OTHERS.test(file))
    .map((file) => `${TESTS}/${file}`);
  const named = files.filter((file) => file.toLowerCase().includes(word));
  const titled = files.filter(
    (file) =>
      !named.includes(file) &&
      readFileSync(path.join(ROOT, file), 'utf8').toLowerCase().includes(word),
  );
  return { named, titled };
}

/** @param {string[]} args */
function cargoTest(args) {
  const command = ['test', '--quiet', '--no-fail-fast', ...args];
  return run(`cargo test ${args.join(' ')}`, 'cargo', command);
}

/** @param {string} subject */
function main(subject) {
  const jest = path.join(ROOT, 'node_modules', '.bin', 'jest');
  const { named, titled } = jestFiles(subject);
  const targets = cargoTargets(subject).flatMap((name) => ['--test', name]);
  const results = [];

  if (targets.length > 0) results.push(cargoTest(targets));
  results.push(cargoTest([subject]));
  if (named.length > 0) results.push(run(`jest ${named.join(' ')}`, jest, named));
  if (titled.length > 0) results.push(run(`jest -t ${subject}`, jest, ['-t', subject, ...titled]));
  return results.every(Boolean) ? 0 : 1;
}

const [subject = '--help'] = process.argv.slice(2);

if (subject.startsWith('-')) {
  console.log('npm run test:subject -- SUBJECT, such as sctp, subchannel or consent');
} else {
  process.exitCode = main(subject);
}
