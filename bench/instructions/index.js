'use strict';

// npm run bench:instructions [-- --update] [--details=CASE] [--budget] [--released]
//
// Counts the instructions of the work per message in valgrind, and compares them with figures.json. Fails if a count
// differs by more than 3 %, in either direction; with another compiler than that of figures.json, or another linker, by
// more than a tenth. `--update` writes the new counts, `--details` shows the functions of a case, `--budget` the steps
// of a message. `--released` builds as a release does for linux-x64-gnu, with zig instead of the C compiler of this
// machine.
//
// Only instructions of Rust code count, except those of the hash crates: libc and aws-lc select their code by the
// processor. Those are shown. figures.json is for x86_64 with SSE4.2; other architectures compare nothing.

const { execFileSync } = require('node:child_process');
const { readFileSync, writeFileSync } = require('node:fs');
const { availableParallelism } = require('node:os');
const path = require('node:path');

const { cargo } = require('../../scripts/cross/build');
const { PLATFORMS } = require('../../scripts/cross/platforms');
const { readOptions } = require('../../scripts/options');
const { build, callgrind, parse } = require('../callgrind');

const FIGURES = path.join(__dirname, 'figures.json');

/** The platform whose binary most users run. */
const [RELEASED] = PLATFORMS.filter(({ name }) => name === 'linux-x64-gnu');

/** How often a case repeats its work, as in main.rs. */
const TIMES = 200;

/**
 * Tolerated differences: a part of the count, plus this many instructions. Counts of one compiler and linker repeat
 * to a few instructions; others may optimize differently.
 */
const TOLERANCE = 0.03;
const TOLERANCE_OF_OTHER_BUILDS = 0.1;
const SLACK = 3;

/**
 * Instructions per repetition by owner: `ours`, `sctp` (sctp-proto), `dtls` (dimpl), `crc`, `other` Rust; and those
 * that do not count: `crypto` and `libc`.
 *
 * @typedef {Record<string, number>} Counts
 */

const COUNTED = ['ours', 'sctp', 'dtls', 'crc', 'other'];
const SHOWN = ['crypto', 'libc'];

/** @type {[RegExp, RegExp]} */
const CHECKSUMS = [/\bcrates\/crc\/|\/crc32(c|fast)-\d/, /\bcrc(32c|32fast)?::/];

/**
 * Patterns of crates: for paths, and for names of functions.
 *
 * @type {[string, RegExp, RegExp][]}
 */
const CRATES = [
  ['ours', /\/src\/(proto|sfu)\/|^src\/(proto|sfu)\//, /datasoup/],
  ['sctp', /\/sctp-proto-/, /sctp_proto/],
  ['dtls', /\/dimpl-/, /dimpl/],
  ['crc', ...CHECKSUMS],
  [
    'crypto',
    /\/(sha1|sha2|digest|block-buffer|hmac|cpufeatures)-\d/,
    /\b(sha1|sha2|digest|hmac)::/,
  ],
];

/**
 * The owner of an instruction: the crate of its file or, for inlined code of the standard library and such, the crate
 * of its function.
 *
 * @param {string} file
 * @param {string} fn
 * @param {string} object
 */
function owner(file, fn, object) {
  if (!object.includes('/instructions-')) return 'libc';
  if (!file.endsWith('.rs')) return 'crypto';
  const byFile = CRATES.find(([, pattern]) => pattern.test(file));
  const byName = byFile ?? CRATES.find(([, , pattern]) => pattern.test(fn));
  return byName ? byName[0] : 'other';
}

/**
 * Runs a case; returns callgrind's file.
 *
 * @param {string} program
 * @param {string} name
 */
async function count(program, name) {
  const { counts } = await callgrind(program, [name], 120_000);
  return counts;
}

/**
 * @param {string} text
 * @returns {Counts}
 */
function sum(text) {
  const counts = Object.fromEntries([...COUNTED, ...SHOWN].map((it) => [it, 0]));
  parse(text, (file, fn, object, cost) => {
    counts[owner(file, fn, object)] += cost;
  });
  if (COUNTED.every((it) => counts[it] === 0)) {
    throw new Error('no instructions counted: is the program stripped?');
  }
  return Object.fromEntries(
    Object.entries(counts).map(([name, cost]) => [name, Math.round(cost / TIMES)]),
  );
}

/** @param {Counts} counts */
function total(counts) {
  return COUNTED.reduce((all, name) => all + counts[name], 0);
}

/**
 * How a function is assigned to a step of a message: the step, a pattern for the file, a pattern for the function's
 * name. The first match counts.
 *
 * @type {[string, RegExp, RegExp][]}
 */
const STEPS = [
  ['routing, transport, turn', /src\/sfu\//, /datasoup::sfu::/],
  [
    'demux, ICE, send arena',
    /src\/proto\/(peer|session|demux|ice_lite|transmit|stun)/,
    /proto::(peer|session|demux|ice_lite|transmit|stun)/,
  ],
  [
    'stream queue, flight',
    /src\/proto\/sctp\/(queue|control\/flight)/,
    /sctp::(queue|control::flight)/,
  ],
  [
    'guard, ledger, egress',
    /src\/proto\/sctp\/(guard|ledger|received|held|budget|wire|egress|ppid)/,
    /sctp::(guard|ledger|received|held|budget|wire|egress|ppid)/,
  ],
  [
    'transmission control, around sctp-proto',
    /src\/proto\/(sctp|message|dcep)/,
    /datasoup::proto::sctp/,
  ],
  ['sctp-proto', /\/sctp-proto-/, /sctp_proto/],
  ['CRC32c', ...CHECKSUMS],
  ['DTLS: around dimpl', /src\/proto\/dtls/, /datasoup::proto::dtls/],
  ['DTLS: dimpl', /\/dimpl-|\/rand[^/]*-\d|chacha20/, /dimpl|chacha20/],
  ['DTLS: AES-GCM', /aws-lc|^\?\?\?$|\.[cS]$|\.h$|\.inc$/, /aws_lc/],
];

/**
 * Prints a table in Markdown: the instructions of each step of a message, and in total. The nanoseconds in brackets are
 * the total measured outside valgrind, divided in proportion to the instructions.
 *
 * @param {string} program
 */
async function budget(program) {
  const cases = ['webrtc-out-100', 'webrtc-out-1000', 'webrtc-in-100', 'webrtc-in-1000'];
  /** @type {Map<string, number>} */
  const cells = new Map();
  /** @type {Map<string, number>} */
  const nanoseconds = new Map();
  const add = (
    /** @type {string} */ step,
    /** @type {string} */ name,
    /** @type {number} */ cost,
  ) => {
    const key = `${step} ${name}`;
    cells.set(key, (cells.get(key) ?? 0) + cost / TIMES);
  };
  for (const name of cases) {
    parse(await count(program, name), (file, fn, object, cost) => {
      const libc = /alloc|free|unlink_chunk|consolidate/.test(fn)
        ? 'malloc and free'
        : 'memcpy and memset';
      const step = !object.includes('/instructions-')
        ? libc
        : (STEPS.find(([, pattern]) => pattern.test(file)) ??
            STEPS.find(([, , pattern]) => pattern.test(fn)) ??
            [])[0];
      add(step ?? 'hash maps, `bytes`, …', name, cost);
      add('**all**', name, cost);
    });
    const times = [1, 2, 3].map(() =>
      Number(execFileSync(program, [name, 'time'], { encoding: 'utf8' })),
    );
    nanoseconds.set(name, Math.min(...times));
  }
  const order = [
    ...STEPS.map(([step]) => step),
    'hash maps, `bytes`, …',
    'malloc and free',
    'memcpy and memset',
  ];
  console.log(`| step | ${cases.join(' | ')} |`);
  console.log(`| --- | ${cases.map(() => '---').join(' | ')} |`);
  for (const step of [...order, '**all**']) {
    const row = cases.map((name) => {
      const instructions = cells.get(`${step} ${name}`) ?? 0;
      const perInstruction = (nanoseconds.get(name) ?? 0) / (cells.get(`**all** ${name}`) ?? 1);
      const [count, time] = [instructions, instructions * perInstruction].map((it) =>
        Math.round(it).toLocaleString('en'),
      );
      return `${count} (${time})`;
    });
    console.log(`| ${step} | ${row.join(' | ')} |`);
  }
}

/** @param {string} text */
function details(text) {
  const functions = new Map();
  parse(text, (file, fn, object, cost) => {
    const key = `${owner(file, fn, object).padEnd(7)} ${fn}`;
    functions.set(key, (functions.get(key) ?? 0) + cost);
  });
  const rows = [...functions].sort(([, a], [, b]) => b - a).slice(0, 60);
  for (const [key, cost] of rows) {
    console.log(`${String(Math.round(cost / TIMES)).padStart(8)}  ${key.slice(0, 150)}`);
  }
}

/**
 * The difference between a case and its committed counts, if there is one that matters.
 *
 * @param {Counts} now
 * @param {Record<string, number> | undefined} committed
 * @param {number} tolerance
 */
function differenceFrom(now, committed, tolerance) {
  if (!committed) return 'is not in figures.json';
  /** @type {Record<string, number>} */
  const all = { ours: now.ours, total: total(now) };
  for (const [what, before] of Object.entries(committed)) {
    const change = all[what] - before;
    if (Math.abs(change) > before * tolerance + SLACK) {
      return `${what}: ${before} → ${all[what]}, ${change > 0 ? 'too many' : 'fewer: commit the new figures'}`;
    }
  }
  return undefined;
}

async function main() {
  const values = readOptions({
    update: { type: 'boolean' },
    details: { type: 'string' },
    budget: { type: 'boolean' },
    released: { type: 'boolean' },
  });
  const program = build('instructions', values.released ? cargo(RELEASED) : undefined);
  if (values.budget) {
    return budget(program);
  }
  if (values.details) {
    return details(await count(program, values.details));
  }
  const names = execFileSync(program, { encoding: 'utf8' }).trim().split('\n');
  const compared = !values.update && process.arch === 'x64';
  const compiler = execFileSync('rustc', ['--version'], { encoding: 'utf8' }).trim();
  const committed = compared ? JSON.parse(readFileSync(FIGURES, 'utf8')) : { cases: {} };
  const alike = committed.compiler === compiler && !values.released;
  const tolerance = alike ? TOLERANCE : TOLERANCE_OF_OTHER_BUILDS;
  const results = new Map();
  const queue = [...names];
  const work = async () => {
    for (let name = queue.shift(); name; name = queue.shift()) {
      results.set(name, sum(await count(program, name)));
    }
  };
  await Promise.all(Array.from({ length: Math.min(4, availableParallelism()) }, work));

  const columns = ['total', ...COUNTED, ...SHOWN];
  console.log(`${'instructions'.padEnd(22)} ${columns.map((it) => it.padStart(7)).join(' ')}`);
  /** @type {Record<string, Record<string, number>>} */
  const cases = {};
  const differences = [];
  for (const name of names) {
    const counts = results.get(name);
    const row = columns.map((it) =>
      String(it === 'total' ? total(counts) : counts[it]).padStart(7),
    );
    console.log(`${name.padEnd(22)} ${row.join(' ')}`);
    cases[name] = { ours: counts.ours, total: total(counts) };
    const difference = compared
      ? differenceFrom(counts, committed.cases[name], tolerance)
      : undefined;
    if (difference) differences.push(`${name} ${difference}`);
  }
  if (values.update) {
    writeFileSync(FIGURES, `${JSON.stringify({ compiler, cases }, null, 2)}\n`);
  } else if (differences.length > 0) {
    console.log(
      `\n${differences.join('\n')}\n\nFigures: ${committed.compiler}, here: ${compiler}\nIf intended: npm run bench:instructions -- --update`,
    );
    process.exitCode = 1;
  }
}

main();
