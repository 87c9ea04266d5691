import { runProgram } from './helpers/process';

/** Short runs of the programs in robustness/. The comment at the head of each program says what it checks. */

/** The first seed. It differs in each run; the output names the seeds of programs that fail. */
const SEED = String(Date.now() % 1_000_000_000);

/** How a run of random programs ends. The comparison includes stdout, which names the program that failed. */
const PASSED = {
  code: 0,
  signal: null,
  stdout: expect.stringMatching(/^\d+ programs/),
  stderr: '',
};

test(`robustness programs: 10,000 random programs (at most a minute), from seed ${SEED}, agree with the model of the close cascade`, async () => {
  const ended = await runProgram(
    'robustness/index.js',
    'programs',
    '--count=10000',
    '--seconds=60',
    `--seed=${SEED}`,
  );
  expect(ended).toMatchObject(PASSED);
}, 300_000);

test(`robustness listeners: 1,000 programs with hostile listeners (at most 40 s), from seed ${SEED}, stop neither delivery nor a cascade`, async () => {
  const ended = await runProgram(
    'robustness/index.js',
    'listeners',
    '--count=1000',
    '--seconds=40',
    `--seed=${SEED}`,
  );
  expect(ended).toMatchObject(PASSED);
}, 300_000);

test('robustness cycles: 3,000 cycles of create and close leak no memory, descriptors, threads or handles', async () => {
  const ended = await runProgram('robustness/index.js', 'cycles', '--count=3000');
  expect(ended).toMatchObject({ code: 0, signal: null, stderr: '' });
}, 300_000);

test('robustness takes: 1,000 DataConsumers of another host and 100 rooms leave no memory, descriptors, timers or objects', async () => {
  const ended = await runProgram('robustness/index.js', 'takes', '--takes=1000', '--joins=100');
  expect(ended).toMatchObject({ code: 0, signal: null, stderr: '' });
}, 300_000);

test('robustness limits: of a client that sends 500 times what its limit lets pass every message is counted', async () => {
  const ended = await runProgram(
    'robustness/index.js',
    'limits',
    '--only=^(drop|block|close)$',
    '--seconds=0.3',
    '--rounds=1',
    '--slack=40',
  );
  expect(ended).toMatchObject({ code: 0, signal: null });
}, 300_000);

test('robustness busy: with 1,000 full DataConsumers a worker answers within 0.2 s, and ends', async () => {
  const ended = await runProgram(
    'robustness/index.js',
    'busy',
    '--only=^(direct-1000|client-1000|close(-worker)?|consumers-producer)$',
    '--seconds=0.5',
    '--rounds=1',
    '--slack=40',
  );
  expect(ended).toMatchObject({ code: 0, signal: null });
}, 300_000);
