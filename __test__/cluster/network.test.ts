import { whyNot } from '../../robustness/cluster/Net';
import { KINDS, ROWS } from '../../robustness/faults';
import { runProgram } from '../helpers/process';

/** Short runs of the programs of robustness/ that break a cluster in network namespaces. */

/** It differs in each run. */
const SEED = Date.now() % 1_000_000_000;

const reason = whyNot();
const inNamespaces = reason === undefined ? describe : describe.skip;

inNamespaces(`in network namespaces${reason === undefined ? '' : ` (${reason})`}`, () => {
  describe('one fault at a time', () => {
    const rows = ROWS.flatMap(({ name, title, kinds = KINDS }) =>
      kinds.map((kind) => ({ name, title, kind })),
    );
    let results: { name: string; kind: string; broken: string[] }[];

    beforeAll(async () => {
      const { stdout } = await runProgram(
        'robustness/index.js',
        'faults',
        '--lease=2000',
        '--slack=3000',
        '--json',
      );
      results = stdout
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line));
    }, 300_000);

    test.each(rows)('$title: $kind', ({ name, kind }) => {
      const result = results.find((each) => each.name === name && each.kind === kind);
      expect(result).toMatchObject({ broken: [] });
    });
  });

  test(`two random faults at a time, seeds ${SEED} and ${SEED + 1}: no duplicate, order kept, losses reported`, async () => {
    const ended = await runProgram('robustness/index.js', 'pairs', '--count=2', `--seed=${SEED}`);
    expect(ended).toMatchObject({
      code: 0,
      stdout: expect.stringMatching(/^2 programs/),
      stderr: '',
    });
  }, 300_000);

  test('robustness room: a host dies and another one comes, and clients of the others lose nothing', async () => {
    const ended = await runProgram('robustness/index.js', 'room', '--clients=10', '--seconds=6');
    expect(ended).toMatchObject({ code: 0, signal: null, stderr: '' });
  }, 300_000);
});
