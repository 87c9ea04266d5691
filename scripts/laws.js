'use strict';

// npm run check -- --only laws, or node scripts/laws.js
//
// Checks the laws, which are the rules of CONTRIBUTING.md and docs/ARCHITECTURE.md that a script can check: that files
// and symbols named in documents and comments exist, that the map is whole, that imports go one way, that each crate,
// the clock and unsafe code are used only in their places, and that a type's name is its own. Prints each violation, by
// law.

const path = require('node:path');

const documents = require('./laws/documents');
const javascript = require('./laws/javascript');
const { Repository } = require('./laws/repository');
const rust = require('./laws/rust');

/** @type {[string, (repository: InstanceType<typeof Repository>) => string[]][]} */
const LAWS = [
  ['rooms of src/ name only themselves and the rooms below', rust.roomsPointDown],
  ['lib/ requires nothing above it, and no addon but by lib/native.js', javascript.libPointsDown],
  ['no circles between Rust files', rust.noCircles],
  ['no circles between JavaScript files', javascript.noCircles],
  ['each crate of others is named in its place only', rust.cratesHaveOwners],
  ['one file reads the clock', rust.oneClock],
  ['unsafe code is allowed where ARCHITECTURE.md lists it', rust.unsafeIsListed],
  ['no two types of src/ share a name', rust.typesHaveOneMeaning],
  ['links in Markdown work', documents.linksWork],
  ['files that documents and comments name exist', documents.filesExist],
  ['the map has each file of lib/, and each directly in a room', documents.mapIsWhole],
  ['symbols and tests that documents name exist', documents.symbolsExist],
  ['commands that documents and comments name exist', documents.commandsExist],
  ['CONTRIBUTING.md and RELEASING.md name each long program', documents.programsAreNamed],
  ['package, crate and change log have one version', documents.versionsAgree],
];

function main() {
  const repository = Repository.read(path.join(__dirname, '..'));
  let count = 0;
  for (const [law, check] of LAWS) {
    const violations = check(repository);
    count += violations.length;
    console.log(`${violations.length === 0 ? 'ok  ' : 'FAIL'} ${law}`);
    for (const violation of violations) console.log(`     ${violation}`);
  }
  if (count > 0) {
    console.log(`\n${count} violations`);
    process.exitCode = 1;
  }
}

module.exports = { LAWS };

if (require.main === module) main();
