import { readFileSync } from 'node:fs';
import * as path from 'node:path';
import { ROOT } from './helpers/process';

/** Each code that says why a transport carries nothing is in the contract, and a test causes it. */

const read = (file: string): string => readFileSync(path.join(ROOT, file), 'utf8');

/** What the code and `index.d.ts` have where they name codes: 'peer-closed', "peer-closed". */
const codesIn = (text: string): string[] =>
  [...text.matchAll(/(?<=['"])[a-z]+(-[a-z]+)+(?=['"])/g)].map(([code]) => code);

/** The codes of a type of `index.d.ts`, without those of other types that it includes. */
function codesOf(type: string): string[] {
  const [, union] = new RegExp(`^export type ${type} =([^;]*);`, 'm').exec(read('index.d.ts'))!;
  return codesIn(union!);
}

const ERRORS = ['IceErrorCode', 'DtlsErrorCode', 'SctpErrorCode'].flatMap(codesOf);
const FINDINGS = codesOf('FindingCode');

/** The tests with real peers. */
const TESTS = [
  '__test__/diagnose.test.ts',
  '__test__/pipeDtls.test.ts',
  '__test__/silence.test.ts',
  '__test__/browser/reasons.test.ts',
  '__test__/browser/tcp.test.ts',
  '__test__/interop/reasons.test.ts',
  '__test__/interop/werift-sctp.test.ts',
];

test('index.d.ts has the codes of src/proto/reason.rs and src/sfu/transport/diagnose.rs, and no others', () => {
  expect([...new Set(ERRORS)].sort()).toEqual(codesIn(read('src/proto/reason.rs')).sort());
  const found = new Set(codesIn(read('src/sfu/transport/diagnose.rs')));
  expect([...FINDINGS].sort()).toEqual([...found].sort());
});

test.each([...new Set([...ERRORS, ...FINDINGS])].filter((code) => code !== 'handshake-timeout'))(
  "a test has a peer that causes '%s'",
  (code) => {
    expect(TESTS.filter((file) => codesIn(read(file)).includes(code))).not.toEqual([]);
  },
);

test("tests in virtual time cause 'handshake-timeout', which takes 30 s", () => {
  for (const protocol of ['dtls', 'sctp']) {
    expect(read(`tests/${protocol}/handshake.rs`)).toMatch(/\bHandshakeTimeout\b/);
  }
});
