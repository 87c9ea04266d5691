'use strict';

// npm run bench:instructions [-- --update] [--details=CASE] [--budget]
//
// Counts the instructions of what is done per message, in valgrind, and compares them with the committed figures in
// benches/instructions.json: fails if one has changed by more than a tenth in either direction. `--update` writes the
// new ones, `--details` shows one case function by function, and `--budget` a message step by step.
//
// So that the figures are those of the code and not of the machine, only instructions that come from a line of Rust
// count, without the hashes of the crate sha1: libc and aws-lc choose their code by the processor. They are shown. The
// figures are those of x86_64; on another processor nothing is compared.

const { execFileSync, execFile } = require('node:child_process');
const { readFileSync, writeFileSync, mkdtempSync, rmSync } = require('node:fs');
const { availableParallelism, tmpdir } = require('node:os');
const path = require('node:path');
const { promisify } = require('node:util');

const { readOptions } = require('../bench/options');

const ROOT = path.join(__dirname, '..');
const FIGURES = path.join(ROOT, 'benches', 'instructions.json');

/** How often a case does its thing, as in benches/instructions/main.rs. */
const TIMES = 200;

/** By how much a figure may differ: a part of it, and so many instructions. */
const TOLERANCE = 0.1;
const SLACK = 3;

/**
 * Instructions per time, by whose they are: `ours`, `sctp` (sctp-proto), `dtls` (dimpl), `crc`, `other` Rust; and those
 * that do not count: `crypto` and `libc`.
 * @typedef {Record<string, number>} Counts
 */

const COUNTED = ['ours', 'sctp', 'dtls', 'crc', 'other'];
const SHOWN = ['crypto', 'libc'];

/** @type {[RegExp, RegExp]} */
const CHECKSUMS = [/\bcrates\/crc\/|\/crc32(c|fast)-\d/, /\bcrc(32c|32fast)?::/];

/**
 * Crates, as they are found in a path or in the name of a function.
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
 * Whose an instruction is: that of the crate whose file it comes from; what the standard library and such do inside
 * of a function belongs to that function's.
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
 * Reads what callgrind has written (https://valgrind.org/docs/manual/cl-format.html).
 * @param {string} text
 * @param {(file: string, fn: string, object: string, cost: number) => void} each
 */
function parse(text, each) {
  /** @type {Map<string, string>} */
  const names = new Map();
  /** A name is written once, behind its number, which stands for it from then on. */
  const resolve = (/** @type {'file' | 'fn' | 'ob'} */ kind, /** @type {string} */ value) => {
    const [, id, name] = /^(\(\d+\))(?: (.*))?$/.exec(value) ?? [];
    if (name !== undefined) names.set(kind + id, name);
    return names.get(kind + id) ?? '';
  };
  let object = '';
  let file = '';
  let fn = '';
  let called = false;
  for (const line of text.split('\n')) {
    const [, key, value] = /^(\w+)=(.*)$/.exec(line) ?? [];
    if (key === 'ob') object = resolve('ob', value);
    else if (key === 'cob') resolve('ob', value);
    else if (key === 'fl' || key === 'fi' || key === 'fe') file = resolve('file', value);
    else if (key === 'cfi' || key === 'cfl') resolve('file', value);
    else if (key === 'fn') fn = resolve('fn', value);
    else if (key === 'cfn') resolve('fn', value);
    else if (key === 'calls') called = true;
    else if (/^[+\-*\d]/.test(line)) {
      // The line after `calls=` has the cost of the callee.
      if (!called) each(file, fn, object, Number(line.split(' ')[1]));
      called = false;
    }
  }
}

/**
 * Builds a bench as what is released is built, but with names, and answers the path of the program.
 * @param {string} bench
 */
function build(bench) {
  const args = ['--locked', '--profile=profiling', '--no-default-features', `--bench=${bench}`];
  const messages = execFileSync('cargo', ['build', ...args, '--message-format=json'], {
    cwd: ROOT,
    encoding: 'utf8',
    maxBuffer: 1 << 28,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  return messages
    .split('\n')
    .filter((line) => line.startsWith('{'))
    .map((line) => JSON.parse(line))
    .find((it) => it.executable && it.target.name === bench).executable;
}

/**
 * Runs a case in valgrind and answers what callgrind has written, and the program itself.
 * @param {string} program
 * @param {string[]} command
 * @param {number} timeout In milliseconds.
 * @returns {Promise<{ text: string, stdout: string }>}
 */
async function callgrind(program, command, timeout) {
  const directory = mkdtempSync(path.join(tmpdir(), 'instructions-'));
  const out = path.join(directory, 'out');
  const options = [
    '--tool=callgrind',
    '--toggle-collect=*measured*',
    `--callgrind-out-file=${out}`,
  ];
  try {
    const run = promisify(execFile)('valgrind', [...options, program, ...command], { timeout });
    const { stdout } = await run;
    return { text: readFileSync(out, 'utf8'), stdout };
  } finally {
    rmSync(directory, { recursive: true });
  }
}

/**
 * What callgrind has written of a case.
 * @param {string} program
 * @param {string} name
 */
async function count(program, name) {
  const { text } = await callgrind(program, [name], 120_000);
  return text;
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
    throw new Error('nothing was counted: was the program stripped?');
  }
  return Object.fromEntries(
    Object.entries(counts).map(([who, cost]) => [who, Math.round(cost / TIMES)]),
  );
}

/** @param {Counts} counts */
function total(counts) {
  return COUNTED.reduce((all, who) => all + counts[who], 0);
}

/**
 * The steps of a message, as they are found in a path or in the name of a function. The first that fits counts.
 * @type {[string, RegExp, RegExp][]}
 */
const STEPS = [
  ['routing, transport, turn', /src\/sfu\//, /datasoup::sfu::/],
  [
    'demux, ICE, send arena',
    /src\/proto\/(peer|demux|ice_lite|transmit|stun)/,
    /proto::(peer|demux|ice_lite|transmit)/,
  ],
  ['stream queue, flight', /src\/proto\/sctp\/(queue|flight)/, /sctp::(queue|flight)/],
  [
    'guard, ledger, egress',
    /src\/proto\/sctp\/(guard|ledger|received|budget|wire|egress|ppid)/,
    /sctp::(guard|egress)/,
  ],
  ['around sctp-proto', /src\/proto\/(sctp|message|dcep)/, /datasoup::proto::sctp/],
  ['sctp-proto', /\/sctp-proto-/, /sctp_proto/],
  ['CRC32c', ...CHECKSUMS],
  ['DTLS: around dimpl', /src\/proto\/dtls/, /datasoup::proto::dtls/],
  ['DTLS: dimpl', /\/dimpl-|\/rand[^/]*-\d|chacha20/, /dimpl|chacha20/],
  ['DTLS: AES-GCM', /aws-lc|^\?\?\?$|\.[cS]$|\.h$|\.inc$/, /aws_lc/],
];

/**
 * A table in Markdown: what a message costs step by step, and in all; in brackets nanoseconds, which are measured
 * outside of valgrind for all together and divided in proportion.
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
 * What is wrong with a case, if anything is.
 * @param {Counts} now
 * @param {Record<string, number> | undefined} committed
 */
function complaint(now, committed) {
  if (!committed) return 'has no committed figures';
  /** @type {Record<string, number>} */
  const all = { ours: now.ours, total: total(now) };
  for (const [what, before] of Object.entries(committed)) {
    const change = all[what] - before;
    if (Math.abs(change) > before * TOLERANCE + SLACK) {
      return `${what}: ${before} → ${all[what]}, ${change > 0 ? 'which is too much' : 'which is to be committed'}`;
    }
  }
  return undefined;
}

async function main() {
  const values = readOptions({
    update: { type: 'boolean' },
    details: { type: 'string' },
    budget: { type: 'boolean' },
  });
  const program = build('instructions');
  if (values.budget) {
    return budget(program);
  }
  if (values.details) {
    return details(await count(program, values.details));
  }
  const names = execFileSync(program, { encoding: 'utf8' }).trim().split('\n');
  const compared = !values.update && process.arch === 'x64';
  const committed = compared ? JSON.parse(readFileSync(FIGURES, 'utf8')) : {};
  const results = new Map();
  const waiting = [...names];
  const work = async () => {
    for (let name = waiting.shift(); name; name = waiting.shift()) {
      results.set(name, sum(await count(program, name)));
    }
  };
  await Promise.all(Array.from({ length: Math.min(4, availableParallelism()) }, work));

  const columns = ['total', ...COUNTED, ...SHOWN];
  console.log(`${'instructions'.padEnd(22)} ${columns.map((it) => it.padStart(7)).join(' ')}`);
  /** @type {Record<string, Record<string, number>>} */
  const figures = {};
  const complaints = [];
  for (const name of names) {
    const counts = results.get(name);
    const row = columns.map((it) =>
      String(it === 'total' ? total(counts) : counts[it]).padStart(7),
    );
    console.log(`${name.padEnd(22)} ${row.join(' ')}`);
    figures[name] = { ours: counts.ours, total: total(counts) };
    const wrong = compared ? complaint(counts, committed[name]) : undefined;
    if (wrong) complaints.push(`${name} ${wrong}`);
  }
  if (values.update) {
    writeFileSync(FIGURES, `${JSON.stringify(figures, null, 2)}\n`);
  } else if (complaints.length > 0) {
    console.log(
      `\n${complaints.join('\n')}\n\nIf that is meant: npm run bench:instructions -- --update`,
    );
    process.exitCode = 1;
  }
}

module.exports = { build, callgrind, parse };

if (require.main === module) main();
