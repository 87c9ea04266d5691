import { whyNot } from '../../robustness/cluster/Net';
import { KINDS, ROWS } from '../../robustness/faults';
import { runProgram } from '../helpers/process';

/** Short runs of the programs of robustness/ that break a cluster in network namespaces. */

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
});
