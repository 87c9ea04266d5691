import { LAWS } from '../scripts/laws';
import { Repository } from '../scripts/laws/repository';

/** Each law of scripts/laws.js finds its violation in a small repository that obeys the other laws. */

const ARCHITECTURE = `# Architecture

Unsafe code (\`unsafe_code\`) is in \`runtime/usage.rs\`. The map: [here](#the-map).

## The map

\`src/proto/stun.rs\`, \`proto/\`, \`Sfu::route\`, \`worker.dump()\`, \`a_test_of_st…\`; \`npm run check\`

\`\`\`
index.js Worker.js (Router)
mod.rs clock.rs usage.rs message.rs stun.rs
\`\`\`
`;

const OBEDIENT: Record<string, string> = {
  'package.json': JSON.stringify({
    version: '1.2.3',
    scripts: { check: '' },
    dependencies: { debug: '' },
  }),
  'CHANGELOG.md': '## [1.2.3] - today\n',
  'Cargo.toml': 'version = "1.2.3"\n[[bench]]\nname = "floors"\n',
  'docs/ARCHITECTURE.md': ARCHITECTURE,
  'index.js': "module.exports = require('./lib/index.js');\n",
  'lib/index.js': "require('./Worker');\n",
  'lib/Worker.js': "require('node:events');\nworker.dump();\n",
  'src/lib.rs': 'mod binding; pub mod proto; pub mod runtime; pub mod sfu;\n',
  'src/binding/mod.rs': 'use napi::Env; use crate::runtime::clock;\n',
  'src/runtime/mod.rs': 'mod clock; mod usage;\n',
  'src/runtime/clock.rs': 'fn now() -> Instant { Instant::now() }\n',
  'src/runtime/usage.rs': '#![allow(unsafe_code)]\n',
  'src/sfu/mod.rs':
    '//! See `mod.rs`.\nuse crate::proto::Message;\nimpl Sfu { fn route(&self) {} }\n',
  // A facade that exports what its children share is not a circle of modules.
  'src/proto/mod.rs': 'mod message; mod stun; pub use self::message::Message;\n',
  'src/proto/message.rs': 'pub struct Message;\n',
  'src/proto/stun.rs':
    'use super::Message;\n#[cfg(test)]\nmod tests { struct Message; fn a_test_of_stun() { Instant::now(); } }\n',
  'tests/sfu/main.rs': 'mod lab;\n',
  'tests/sfu/lab.rs': '// Read by `cargo test --test sfu`.\n',
};

const cases: [string, Record<string, string>, RegExp][] = [
  [
    'rooms of src/ name only themselves and the rooms below',
    { 'src/proto/stun.rs': 'use crate::runtime::clock; fn a_test_of_stun() {}\n' },
    /^src\/proto\/stun\.rs: names src\/runtime\/clock\.rs/,
  ],
  [
    'rooms of src/ name only themselves and the rooms below',
    { 'src/proto/stun.rs': 'fn a_test_of_stun() { super::super::runtime::clock::now() }\n' },
    /^src\/proto\/stun\.rs: names src\/runtime\/clock\.rs/,
  ],
  [
    'lib/ requires nothing above it, and no addon but by lib/native.js',
    { 'lib/Router.js': "require('../bench/options');\n" },
    /^lib\/Router\.js: requires \.\.\/bench\/options/,
  ],
  [
    'lib/ requires nothing above it, and no addon but by lib/native.js',
    { 'lib/Router.js': "require('ws');\n" },
    /^lib\/Router\.js: requires ws/,
  ],
  [
    'lib/ requires nothing above it, and no addon but by lib/native.js',
    { 'lib/Router.js': "require('../native/binding.js');\n" },
    /^lib\/Router\.js: requires \.\.\/native\/binding\.js/,
  ],
  [
    'no circles between Rust files',
    {
      'src/proto/message.rs': 'use super::stun; pub struct Message;\n',
    },
    /src\/proto\/message\.rs ↔ src\/proto\/stun\.rs/,
  ],
  [
    'no circles between Rust files',
    { 'tests/sfu/lab.rs': 'use super::run;\n', 'tests/sfu/main.rs': 'mod lab;\nuse lab::Lab;\n' },
    /tests\/sfu\/lab\.rs ↔ tests\/sfu\/main\.rs/,
  ],
  [
    'no circles between JavaScript files',
    { 'bench/a.js': "require('./b');\n", 'bench/b.js': "const { a } = require('./a');\n" },
    /bench\/a\.js ↔ bench\/b\.js/,
  ],
  [
    'no circles between JavaScript files',
    {
      '__test__/a.ts': "import { b } from './b';\n",
      '__test__/b.ts': "import type { C } from './c';\nimport {\n  a,\n} from './a';\n",
    },
    /__test__\/a\.ts ↔ __test__\/b\.ts/,
  ],
  [
    'each crate of others is named in its place only',
    { 'src/runtime/clock.rs': 'use sctp_proto::Association;\n' },
    /^src\/runtime\/clock\.rs:1: names sctp_proto/,
  ],
  [
    'each crate of others is named in its place only',
    {
      'Cargo.toml':
        'version = "1.2.3"\n[[bench]]\nname = "floors"\n[dependencies]\nquick-sort = "1"\n',
    },
    /^Cargo\.toml: quick_sort has neither an owner/,
  ],
  [
    'one file reads the clock',
    { 'src/runtime/usage.rs': '#![allow(unsafe_code)]\nlet time = start.elapsed();\n' },
    /^src\/runtime\/usage\.rs:2: \.elapsed\(\)/,
  ],
  [
    'unsafe code is allowed where ARCHITECTURE.md lists it',
    { 'src/runtime/clock.rs': '#![allow(unsafe_code)]\n' },
    /^src\/runtime\/clock\.rs: allows unsafe_code/,
  ],
  [
    'unsafe code is allowed where ARCHITECTURE.md lists it',
    { 'src/runtime/usage.rs': '#![deny(unsafe_code)]\n' },
    /lists src\/runtime\/usage\.rs/,
  ],
  [
    'no two types of src/ share a name',
    { 'src/runtime/clock.rs': 'pub(super) enum Message { A }\n' },
    /^Message names several types: src\/runtime\/clock\.rs:1, src\/proto\/message\.rs:1/,
  ],
  [
    'no two types of src/ share a name',
    {
      'src/runtime/clock.rs': 'type Clock = u8;\n',
      'src/runtime/usage.rs': '#![allow(unsafe_code)]\nstruct Clock;\n',
    },
    /^Clock names several types/,
  ],
  [
    'no two types of src/ share a name',
    { 'src/runtime/clock.rs': 'struct Datagrams;\n' },
    /^src\/runtime\/clock\.rs:1: Datagrams has become the only type of its name/,
  ],
  [
    'links in Markdown work',
    { 'README.md': 'See [the map](docs/ARCHITECTURE.md#the-room).\n' },
    /^README\.md:1: links to docs\/ARCHITECTURE\.md#the-room/,
  ],
  [
    'links in Markdown work',
    { 'docs/x.md': 'See [the map](docs/ARCHITECTURE.md).\n' },
    /^docs\/x\.md:1: links to docs\/ARCHITECTURE\.md/,
  ],
  [
    'files that documents and comments name exist',
    { 'README.md': '| what | where |\n| STUN | `proto/sturm.rs` |\n' },
    /^README\.md:2: names proto\/sturm\.rs/,
  ],
  [
    'files that documents and comments name exist',
    { 'README.md': '```\nsrc/\n  sturm.rs   STUN\n```\n' },
    /^README\.md:3: names sturm\.rs/,
  ],
  [
    'files that documents and comments name exist',
    { 'src/runtime/clock.rs': '//! See driver.rs.\n' },
    /^src\/runtime\/clock\.rs:1: names driver\.rs/,
  ],
  [
    'the map has each file of lib/, and each directly in a room',
    { 'lib/Table.js': '' },
    /^lib\/Table\.js: is not in the map/,
  ],
  [
    'symbols and tests that documents name exist',
    { 'docs/robustness.md': '| `Sfu::router` | `worker.dump()` |\n' },
    /^docs\/robustness\.md:1: names Sfu::router/,
  ],
  [
    'symbols and tests that documents name exist',
    { 'docs/robustness.md': 'A test: `a_test_of_turn…`\n' },
    /^docs\/robustness\.md:1: names a_test_of_turn…/,
  ],
  [
    'commands that documents and comments name exist',
    { 'CONTRIBUTING.md': '`npm run bench` and `npm run check`\n' },
    /^CONTRIBUTING\.md:1: npm run bench does not exist/,
  ],
  [
    'commands that documents and comments name exist',
    { 'CONTRIBUTING.md': '`cargo bench --bench floors`, `cargo test --test dtls`\n' },
    /^CONTRIBUTING\.md:1: cargo --test dtls does not exist/,
  ],
  [
    'CONTRIBUTING.md and RELEASING.md name each long program',
    {
      'robustness/index.js': "const PROGRAMS = [\n  'soak',\n  'busy',\n];\n",
      'CONTRIBUTING.md': 'soak, busy\n',
      'RELEASING.md': 'soak\n',
    },
    /^RELEASING\.md: does not name the program busy/,
  ],
  [
    'package, crate and change log have one version',
    { 'Cargo.toml': 'version = "1.2.4"\n[[bench]]\nname = "floors"\n' },
    /^Cargo\.toml: version 1\.2\.4, package\.json: 1\.2\.3/,
  ],
  [
    'package, crate and change log have one version',
    { 'CHANGELOG.md': '## [Unreleased]\n' },
    /^CHANGELOG\.md: has no section for 1\.2\.3/,
  ],
];

function violations(changes: Record<string, string>) {
  const repository = new Repository(Object.entries({ ...OBEDIENT, ...changes }));

  return LAWS.flatMap(([law, check]) => check(repository).map((text) => ({ law, text })));
}

test('a repository that obeys the laws has no violations', () => {
  expect(violations({})).toEqual([]);
});

test.each(cases)('law "%s" reports the violation in %j', (law, changes, text) => {
  expect(violations(changes)).toEqual([{ law, text: expect.stringMatching(text) }]);
});

test('each law has a case', () => {
  expect(new Set(cases.map(([law]) => law))).toEqual(new Set(LAWS.map(([law]) => law)));
});
