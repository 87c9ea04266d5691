'use strict';

// npm run check -- [--only=STEP[,STEP…]] [--fast] [--long] [--list]
//
// Runs every step of the check, as CI does. `--only` runs the named steps, `--fast` the steps that need neither the
// addon nor a test run, `--long` also the steps that most changes do not need, and `--list` prints them. A step that
// fails does not stop the next ones.
//
// The last line is `N passed, N failed`: tests are counted one by one, every other step as one. Above it is once more
// what failed and why, so that the end of a log suffices. Exits with 1 unless all passed. A test that was skipped
// counts as failed.

const { spawn } = require('node:child_process');
const { existsSync, mkdtempSync, readFileSync, rmSync } = require('node:fs');
const { tmpdir } = require('node:os');
const path = require('node:path');
const { stripVTControlCharacters } = require('node:util');

const { freeGB } = require('./disk');
const { readOptions, refuse } = require('./options');

const ROOT = path.join(__dirname, '..');

/** A step that takes longer hangs, and counts as failed, unless it names another limit. */
const MINUTES = 15;

/** What the whole check puts on a disk at its fullest, in a clean checkout on a machine without its packages. */
const NEEDED_GB = 7;

/** How many lines of each failure the end of the check repeats. */
const LINES = 25;
/** How many failures of a step it repeats. */
const FAILURES = 5;

/** The cargo tests that take minutes, and are run by hand. */
const IGNORED = ['hostile::mutated_handshakes_leave_both_ends_in_agreement_many_times'];

/**
 * @typedef {object} Step
 * @property {string} name
 * @property {string} command For a shell, in the root of the repository.
 * @property {'cargo' | 'jest'} [tests] What runs the tests, if the step has some to count.
 * @property {boolean} [fast]
 * @property {boolean} [long] Whether the step is about platforms and tools that most changes do not concern.
 * @property {number} [minutes] Instead of {@link MINUTES}.
 * @property {boolean} [install] Whether only `.ci/run` runs the step, because a developer has installed these things.
 * @property {string[]} [spent] Folders that no later step uses: `.ci/run` removes them, because the disks of CI are
 * small. A developer keeps them for the next run.
 */

const CLIPPY = 'cargo clippy --locked --quiet --workspace --all-targets';

/** @type {Step[]} */
const STEPS = [
  { name: 'debian', command: '.ci/debian-packages', install: true },
  { name: 'npm-ci', command: 'npm ci --no-audit --no-fund --loglevel=error', install: true },
  { name: 'laws', command: 'node scripts/laws.js', fast: true },
  {
    name: 'rustfmt',
    command: 'cargo fmt --all --check && cargo fmt --manifest-path fuzz/Cargo.toml --check',
    fast: true,
  },
  { name: 'prettier', command: 'npx --no-install prettier --check .', fast: true },
  { name: 'types', command: 'npm run --silent test:types', fast: true },
  { name: 'clippy-node', command: `${CLIPPY} --features node -- -D warnings`, fast: true },
  {
    name: 'rustdoc',
    command:
      "RUSTDOCFLAGS='-D warnings -A rustdoc::private_intra_doc_links' cargo doc --locked --quiet --no-deps --document-private-items --features node",
    fast: true,
  },
  { name: 'clippy-runtime', command: `${CLIPPY} -- -D warnings` },
  { name: 'clippy-sans-io', command: `${CLIPPY} --no-default-features -- -D warnings` },
  { name: 'deny', command: 'scripts/deny.sh' },
  {
    name: 'cargo-sans-io',
    command: 'cargo test --locked --no-fail-fast --no-default-features',
    tests: 'cargo',
  },
  {
    name: 'cargo-node',
    command: 'cargo test --locked --no-fail-fast --features node',
    tests: 'cargo',
  },
  { name: 'fuzz', command: 'scripts/fuzz.sh 10', spent: ['fuzz/target'] },
  { name: 'instructions', command: 'npm run --silent bench:instructions' },
  { name: 'build', command: 'npm run --silent build', spent: ['target/release'] },
  // The addon as most users get it, instead of what `build` made: all later steps run that.
  {
    name: 'released',
    command:
      'npm run --silent cross -- --only=linux-x64-gnu && cp "${DATASOUP_CROSS:-target/cross}/addons/datasoup.linux-x64-gnu.node" native/',
    long: true,
    minutes: 25,
  },
  {
    name: 'released-instructions',
    command: 'npm run --silent bench:instructions -- --released',
    long: true,
    minutes: 25,
    spent: ['target/profiling', 'target/x86_64-unknown-linux-gnu', 'target/cross/target'],
  },
  { name: 'docs', command: 'npm run --silent docs' },
  { name: 'api', command: 'npm test --silent --', tests: 'jest' },
  { name: 'browser', command: 'npm run --silent test:browser --', tests: 'jest' },
  { name: 'package', command: 'npm run --silent test:package --', tests: 'jest' },
  { name: 'usrsctp', command: 'npm run --silent test:usrsctp --', tests: 'jest' },
  // Runs every row of the bench with a handful of messages: this measures nothing, but shows that the bench works.
  {
    name: 'bench',
    command: 'npm run --silent bench -- --smoke',
    spent: ['target/debug', 'target/doc'],
  },
  // Uses the packages that `package` has made.
  {
    name: 'registry',
    command: 'npx --no-install jest --selectProjects registry --config jest.config.js',
    tests: 'jest',
    long: true,
    spent: ['target/tools'],
  },
  { name: 'clone', command: 'scripts/clone.sh', long: true },
  { name: 'workflows', command: 'node scripts/workflows.js', long: true },
  { name: 'dashboard', command: 'node scripts/dashboard.js', long: true },
  // Without optimization, because this shows what each platform has and lacks.
  {
    name: 'cross',
    command: 'npm run --silent cross -- --quick --tidy --except=linux-x64-gnu',
    long: true,
    minutes: 50,
  },
];

/**
 * Runs a command, shows its output, and resolves with that and the exit code.
 * @param {string} command
 * @param {number} minutes
 * @returns {Promise<{ code: number, output: string }>}
 */
function run(command, minutes) {
  return new Promise((resolve) => {
    // `timeout` ends the children of the shell as well.
    const child = spawn('timeout', ['--kill-after=10', `${minutes}m`, 'sh', '-c', command], {
      cwd: ROOT,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let output = '';
    child.stdout.on('data', (data) => {
      process.stdout.write(data);
      output += data;
    });
    child.stderr.on('data', (data) => {
      process.stderr.write(data);
      output += data;
    });
    child.on('close', (code) => resolve({ code: code ?? 1, output }));
    child.on('error', (error) => resolve({ code: 1, output: `${error}` }));
  });
}

/**
 * Adds up the `test result:` lines of cargo. A test that is ignored counts as failed, unless it is one of
 * {@link IGNORED}.
 * @param {string} output
 */
function countCargo(output) {
  let passed = 0;
  let failed = 0;
  const failures = [];
  for (const [, name, text] of output.matchAll(
    /^---- (.+) stdout ----\n([^]*?)(?=^---- |^failures:$)/gm,
  )) {
    failures.push(`${name}\n${text}`);
  }
  for (const [, name = ''] of output.matchAll(/^test (.+) \.\.\. ignored/gm)) {
    if (IGNORED.includes(name)) continue;
    failures.push(`${name} is ignored`);
    failed += 1;
  }
  for (const [, good, bad] of output.matchAll(/^test result: .*?(\d+) passed; (\d+) failed/gm)) {
    passed += Number(good);
    failed += Number(bad);
  }
  return { passed, failed, failures };
}

/**
 * Reads Jest's report. A test file that cannot run has no tests, but is a failure.
 * @param {string} file
 */
function countJest(file) {
  const report = existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')) : {};
  const { numPassedTests = 0, numFailedTests = 0, numPendingTests = 0, numTodoTests = 0 } = report;
  const { numRuntimeErrorTestSuites = 0, testResults = [] } = report;
  const failures = [];
  for (const { name, message, assertionResults } of testResults) {
    for (const { status, fullName, failureMessages } of assertionResults) {
      if (status !== 'passed')
        failures.push(`${name}: ${fullName} ${status}\n${failureMessages[0] ?? ''}`);
    }
    if (assertionResults.length === 0) failures.push(`${name}\n${message}`);
  }
  return {
    failures,
    passed: numPassedTests,
    failed: numFailedTests + numPendingTests + numTodoTests + numRuntimeErrorTestSuites,
  };
}

/**
 * @param {Step} step
 * @returns {Promise<{ passed: number, failed: number, failures: string[] }>}
 */
async function perform({ name, command, tests, minutes = MINUTES }) {
  console.log(`\n=== ${name}: ${command}`);
  const start = Date.now();
  const folder = mkdtempSync(path.join(tmpdir(), 'check-'));
  const report = path.join(folder, 'report.json');
  const whole = tests === 'jest' ? `${command} --json --outputFile='${report}'` : command;
  const { code, output } = await run(whole, minutes);
  const seconds = Math.round((Date.now() - start) / 1000);
  const result = code === 0 ? 'ok' : `exit code ${code}`;
  console.log(`=== ${name}: ${result} after ${seconds} s, ${freeGB(ROOT).toFixed(1)} GB free`);

  /** @type {{ passed: number, failed: number, failures: string[] }} */
  let counts = { passed: Number(code === 0), failed: Number(code !== 0), failures: [] };
  if (tests) {
    counts = tests === 'jest' ? countJest(report) : countCargo(output);
    // A run without a result, or one that failed without a failed test (it did not compile, say), is one failure.
    const silent = counts.passed + counts.failed === 0;
    if (silent || (code !== 0 && counts.failed === 0)) counts.failed += 1;
  }
  rmSync(folder, { recursive: true });
  // What has no failed test to show, such as a compiler's errors, stands at the end of the output.
  if (counts.failed > 0 && counts.failures.length === 0) {
    counts.failures.push(output.trimEnd().split('\n').slice(-LINES).join('\n'));
  }
  return counts;
}

/**
 * @param {{ only?: string, fast?: boolean, long?: boolean, install?: boolean }} options
 * @returns {Step[]}
 */
function select({ only, fast, long, install }) {
  if (only !== undefined) {
    const names = only.split(',');
    const unknown = names.filter((name) => !STEPS.some((step) => step.name === name));
    if (unknown.length > 0) {
      refuse(
        `--only: no step ${unknown.join(', ')}; there are ${STEPS.map((it) => it.name).join(', ')}`,
      );
    }
    return STEPS.filter((step) => names.includes(step.name));
  }
  return STEPS.filter(
    (step) => (install || !step.install) && (long || !step.long) && (!fast || step.fast),
  );
}

async function main() {
  const options = readOptions({
    only: { type: 'string' },
    fast: { type: 'boolean' },
    long: { type: 'boolean' },
    install: { type: 'boolean' },
    list: { type: 'boolean' },
  });
  const steps = select(options);
  if (options.list) {
    for (const { name, command, fast, long } of steps) {
      console.log(`${name.padEnd(15)} ${fast ? 'fast' : long ? 'long' : '    '}  ${command}`);
    }
    return;
  }

  const free = freeGB(ROOT);
  const whole = options.install && !options.only && !options.fast;
  if (whole && free < NEEDED_GB) {
    console.log(`the check needs ${NEEDED_GB} GB, but only ${free.toFixed(1)} GB are free`);
    console.log('0 passed, 1 failed');
    process.exitCode = 1;
    return;
  }
  let passed = 0;
  let failed = 0;
  const broken = [];
  for (const step of steps) {
    const counts = await perform(step);
    passed += counts.passed;
    failed += counts.failed;
    if (counts.failed > 0) broken.push({ name: step.name, failures: counts.failures });
    if (whole) {
      for (const folder of step.spent ?? []) {
        rmSync(path.join(ROOT, folder), { recursive: true, force: true });
      }
    }
  }
  console.log();
  for (const { name, failures } of broken) {
    console.log(`failed: ${name} (npm run check -- --only=${name})`);
    for (const failure of failures.slice(0, FAILURES)) {
      console.log(stripVTControlCharacters(failure).split('\n').slice(0, LINES).join('\n'));
    }
    if (failures.length > FAILURES) console.log(`and ${failures.length - FAILURES} more`);
  }
  console.log(`${passed} passed, ${failed} failed`);
  process.exitCode = failed === 0 ? 0 : 1;
}

main();
