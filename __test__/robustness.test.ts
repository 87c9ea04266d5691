import { runProgram } from './helpers/process';

/** Short runs of the programs in robustness/, whose first comments say what they show. */

/** The first seed. It differs in each run; the output names the seeds of programs that fail. */
const SEED = String(Date.now() % 1_000_000_000);

test(`10,000 random programs, or a minute of them, against the model of the close cascade, from seed ${SEED} on`, async () => {
  const ended = await runProgram(
    'robustness/index.js',
    'programs',
    '--count=10000',
    '--seconds=60',
    `--seed=${SEED}`,
  );
  // If a program fails, stdout shows it.
  expect(ended).toMatchObject({
    code: 0,
    signal: null,
    stdout: expect.stringMatching(/^\d+ programs/),
    stderr: '',
  });
}, 300_000);

test('3,000 cycles of create and close: memory, descriptors, threads and handles stay', async () => {
  const ended = await runProgram('robustness/index.js', 'cycles', '--count=3000');
  expect(ended).toMatchObject({ code: 0, signal: null, stderr: '' });
}, 300_000);
