import { runProgram } from '../helpers/process';

/** A file to Chromium over a slow path; `npm run robustness -- files --mib=1024` carries a large one. */

test('64 MiB from the disk arrive over 40 ms and 12 Mbit/s without a loss, in 32 MiB of memory', async () => {
  const ended = await runProgram('robustness/index.js', 'files', '--mib=64', '--json');
  expect(ended).toMatchObject({ code: 0, signal: null, stderr: '' });
  const { more, ...rest } = JSON.parse(ended.stdout);
  expect(rest).toMatchObject({ sent: 1024, received: 1024, dropped: 0, equal: true });
  expect(more).toBeLessThanOrEqual(32);
}, 300_000);
