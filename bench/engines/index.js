'use strict';

// npm run bench:engines [-- --engines=dcsctp,ours] [--flights=64,256,1024] [--program=PATH]
//
// Compares SCTP engines in valgrind: instructions and allocations per message, and goodput and instructions per packet
// with the KiB of `--flights` in flight and a round trip of 50 ms. `--program` measures an engine that was built
// elsewhere from the same cases (bench/engines/cases.rs).

const { execFileSync } = require('node:child_process');

const { readOptions } = require('../../scripts/options');
const { build, callgrind, parse } = require('../callgrind');

/**
 * Parts of the work, by file and function. The first match counts.
 *
 * @type {[string, RegExp][]}
 */
const PARTS = [
  ['CRC32c', /crc/i],
  [
    'malloc and free',
    /\b(_?(int_)?(malloc|calloc|realloc|free|memalign)|unlink_chunk|malloc_consolidate)\b/,
  ],
  ['memcpy and memset', /\bmem(cpy|set|move|cmp)\b|__mem/],
  ['SipHash', /sip\.rs|hash\/random\.rs|BuildHasher::hash_one/],
];

/**
 * @typedef {object} Counted
 * @property {number} all - the instructions of the measured work.
 * @property {Map<string, number>} parts - the same instructions, by the parts of PARTS.
 * @property {number} times - how often the work was done.
 * @property {number} allocations
 * @property {number} bytes - the payload of the messages that arrived.
 */

/**
 * Runs the program in callgrind and adds up the counts.
 *
 * @param {string} program
 * @param {string[]} command - the engine, and the work to count.
 * @returns {Promise<Counted>}
 */
async function count(program, command) {
  const { counts, stdout } = await callgrind(program, command, 900_000);
  let all = 0;
  const parts = new Map();
  parse(counts, (file, fn, _object, cost) => {
    all += cost;
    const [part] = PARTS.find(([, pattern]) => pattern.test(`${file} ${fn}`)) ?? ['the rest'];
    parts.set(part, (parts.get(part) ?? 0) + cost);
  });
  const [times, allocations, bytes] = stdout.trim().split(' ').map(Number);
  return { all, parts, times, allocations, bytes };
}

const number = (/** @type {number} */ it) => Math.round(it).toLocaleString('en');

/** @param {string[]} cells */
const print = (...cells) => console.log(`| ${cells.join(' | ')} |`);

/** @param {string[]} cells */
function printHead(...cells) {
  print(...cells);
  print(...cells.map(() => '---'));
}

/**
 * Prints the counts per message, with each message in a turn of its own.
 *
 * @param {string} program
 * @param {string[]} engines
 */
async function messages(program, engines) {
  const columns = [...PARTS.map(([part]) => part), 'the rest'];
  printHead('engine', 'case', ...columns, '**all**', 'allocations');
  for (const engine of engines) {
    for (const name of ['out 100', 'out 1000', 'in 100', 'in 1000', 'sack 1000']) {
      const { all, parts, times, allocations } = await count(program, [engine, ...name.split(' ')]);
      const cells = columns.map((part) => number((parts.get(part) ?? 0) / times));
      print(engine, name, ...cells, number(all / times), (allocations / times).toFixed(1));
    }
  }
}

/**
 * Prints the goodput, and the counts per packet with data.
 *
 * @param {string} program
 * @param {string[]} engines
 * @param {number[]} flights - in KiB.
 */
async function inFlight(program, engines, flights) {
  printHead('engine', 'KiB in flight', 'loss', 'goodput kB/s', 'sender', 'receiver', 'allocations');
  const cases = [...flights.map((flight) => [flight, 0]), [256, 10]];
  for (const engine of engines) {
    for (const [flight, loss] of cases) {
      const run = (/** @type {string} */ side) =>
        count(program, [engine, side, `${flight * 1024}`, `${loss}`]);
      const sides = await Promise.all([run('sender'), run('receiver')]);
      const goodput = number(sides[0].bytes / 1000 / (loss > 0 ? 30 : 1));
      const each = sides.map(({ all, times }) => number(all / times));
      const allocations = sides.map((it) => (it.allocations / it.times).toFixed(1)).join(' + ');
      print(engine, `${flight}`, `${loss / 10} %`, goodput, ...each, allocations);
    }
  }
}

async function main() {
  const options = readOptions({
    engines: { type: 'string' },
    program: { type: 'string' },
    flights: { type: 'string', default: '64,128,256,512,1024' },
  });
  const program = options.program ?? build('engines');
  const all = execFileSync(program, { encoding: 'utf8' }).trim().split('\n');
  const engines = options.engines?.split(',') ?? all;
  await messages(program, engines);
  console.log();
  await inFlight(program, engines, options.flights.split(',').map(Number));
}

main();
