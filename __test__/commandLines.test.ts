import { execFile } from 'node:child_process';
import * as path from 'node:path';
import { promisify } from 'node:util';

import { ROOT, runProgram } from './helpers/process';

/** The output of the programs of bench/, robustness/ and scripts/ for --help and for invalid options. */

const BENCH = 'bench/index.js';
const CHECK = 'scripts/check.js';
const ROBUSTNESS = 'robustness/index.js';

const usages: [string[], RegExp][] = [
  [[BENCH, '--help'], /^npm run bench -- \[--rows=REGEX\]/],
  [[BENCH, '-h'], /^npm run bench --/],
  [['bench/cluster/index.js', '--help'], /^npm run bench:cluster --/],
  [[CHECK, '--help'], /^npm run check -- \[--only=STEP/],
  [['scripts/release.js', '--help'], /^node scripts\/release\.js \[--dry-run/],
  [[ROBUSTNESS, '--help'], /^npm run robustness -- PROGRAM [^]*soak/],
  [[ROBUSTNESS, '-h'], /^npm run robustness --/],
  [[ROBUSTNESS, 'soak', '--help'], /^npm run robustness -- soak \[--minutes=30\]/],
  [[ROBUSTNESS, 'floods', '-h'], /^npm run robustness -- floods/],
];

test.each(usages)('%j prints the usage', async ([file = '', ...args], usage) => {
  const { code, stdout, stderr } = await runProgram(file, ...args);

  expect(stdout).toMatch(usage);
  expect(stdout).not.toMatch(/^\/\/|'use strict'|require/m);
  expect(stdout.split('\n').length).toBeLessThan(15);
  expect([code, stderr]).toEqual([0, '']);
});

const mistakes: [string[], RegExp][] = [
  [[BENCH, '--colour'], /--colour/],
  [[BENCH, '--runs=many'], /--runs.*many/],
  [[BENCH, '--runs=0'], /--runs.*0/],
  [[BENCH, '--runs='], /--runs/],
  [[BENCH, '--rows=('], /--rows.*\(/],
  [[BENCH, 'direct'], /direct/],
  [['bench/cluster/index.js', '--seed=0'], /--seed.*0/],
  [[CHECK, '--only=laws,lint'], /no step lint; there are .*laws/],
  [[ROBUSTNESS], /programs, listeners, cycles, floods, limits, busy, slow, networks, files, soak/],
  [
    [ROBUSTNESS, 'census'],
    /programs, listeners, cycles, floods, limits, busy, slow, networks, files, soak.*census/,
  ],
  [[ROBUSTNESS, 'soak', '--minutes=ten'], /--minutes.*ten/],
  [[ROBUSTNESS, 'programs', '--seed=-1'], /--seed.*-1/],
  [[ROBUSTNESS, 'cycles', '--count=1.5'], /--count.*1\.5/],
  [['scripts/release.js'], /one of --dry-run, --pack, --try and --publish/],
  [['scripts/release.js', '--pack', '--publish'], /one of --dry-run, --pack, --try and --publish/],
  [[ROBUSTNESS, 'slow', '--rounds=x'], /--rounds.*x/],
];

test.each(mistakes)(
  '%j exits with 2 and prints one line that names the mistake',
  async ([file = '', ...args], line) => {
    const { code, stdout, stderr } = await runProgram(file, ...args);

    expect(stderr).toMatch(line);
    expect(stderr.trimEnd()).not.toContain('\n');
    expect([code, stdout]).toEqual([2, '']);
  },
);

test('scripts/build.js without Rust exits with 1 and prints one line that says what to install', async () => {
  const build = promisify(execFile)(process.execPath, [path.join(ROOT, 'scripts/build.js')], {
    env: { ...process.env, PATH: '/nowhere' },
  });

  await expect(build).rejects.toMatchObject({
    code: 1,
    stdout: '',
    stderr: expect.stringMatching(/^datasoup: cannot build the addon: install Rust .*rustup.*\n$/),
  });
});
