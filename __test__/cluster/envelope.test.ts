import { Envelope, epochOf, MAX_ENVELOPE, OVERHEAD, Refusal } from '../../lib/cluster/envelope';
import { Random } from '../helpers/cluster/random';

/** As in messages.test.ts. */
const RUNS = Number(process.env['CLUSTER_FUZZ'] ?? 3000);
const SECRET = Buffer.alloc(32, 1);
const OTHER_SECRET = Buffer.alloc(32, 2);
const EPOCH = epochOf(Date.UTC(2026, 0), Buffer.alloc(6, 3));
const LATER = epochOf(Date.UTC(2027, 0), Buffer.alloc(6));
const SUBJECT = 'datasoup.to.b';

const envelopeOf = (host: string, { secrets = [SECRET], epoch = EPOCH } = {}): Envelope =>
  new Envelope({ secrets, host, epoch });

/** Why bytes are refused. */
function refusal(envelope: Envelope, subject: string, bytes: Uint8Array): string {
  try {
    envelope.open(subject, bytes);
  } catch (error) {
    if (error instanceof Refusal) return error.reason;
    throw error;
  }
  return 'opened';
}

const a = envelopeOf('a');
const b = envelopeOf('b');

test('another host opens what a host has sealed', () => {
  const first = b.open(SUBJECT, a.seal(SUBJECT, Buffer.from('hello')));
  const second = b.open(SUBJECT, a.seal(SUBJECT, Buffer.alloc(0)));

  expect(first).toMatchObject({ host: 'a', epoch: EPOCH, message: Buffer.from('hello') });
  expect(second.message).toHaveLength(0);
  expect(second.counter).toBe(first.counter + 1);
});

test('the same message is never sealed to the same bytes', () => {
  const [one, other] = [a.seal(SUBJECT, Buffer.from('x')), a.seal(SUBJECT, Buffer.from('x'))];

  expect(one.subarray(-17)).not.toEqual(other.subarray(-17));
});

test('epochs compare by the time of start', () => {
  expect(LATER > EPOCH).toBe(true);
  expect(epochOf(1, Buffer.alloc(6, 255)) < epochOf(2, Buffer.alloc(6))).toBe(true);
});

test('a host grows a message by no more than OVERHEAD', () => {
  const sealed = envelopeOf('h'.repeat(64)).seal(SUBJECT, Buffer.alloc(100));

  expect(sealed).toHaveLength(100 + OVERHEAD);
});

test('no plaintext is in the envelope', () => {
  expect(a.seal(SUBJECT, Buffer.from('plaintext')).includes('plaintext')).toBe(false);
});

describe('two secrets', () => {
  const old = envelopeOf('old', { secrets: [SECRET] });
  const both = envelopeOf('both', { secrets: [SECRET, OTHER_SECRET] });
  const turned = envelopeOf('turned', { secrets: [OTHER_SECRET, SECRET] });
  const renewed = envelopeOf('renewed', { secrets: [OTHER_SECRET] });

  test.each([
    ['old', 'both', old, both],
    ['both', 'turned', both, turned],
    ['turned', 'renewed', turned, renewed],
  ])('in each step of a rotation all hosts open each other: %s and %s', (_, __, one, next) => {
    expect(refusal(next, SUBJECT, one.seal(SUBJECT, Buffer.from('1')))).toBe('opened');
    expect(refusal(one, SUBJECT, next.seal(SUBJECT, Buffer.from('1')))).toBe('opened');
  });

  test('a secret that a host does not have is refused as a key', () => {
    expect(refusal(old, SUBJECT, renewed.seal(SUBJECT, Buffer.from('1')))).toBe('key');
  });
});

describe('hostile', () => {
  const sealed = a.seal(SUBJECT, Buffer.from('{"type":"bye"}'));
  const end = 24 + 1;

  test('a message that was moved to another subject', () => {
    expect(refusal(b, 'datasoup.to.c', sealed)).toBe('forged');
  });

  test('a message with the name of another host', () => {
    const crossed = Buffer.from(sealed);
    crossed.write('c', 24);
    expect(refusal(b, SUBJECT, crossed)).toBe('forged');
  });

  test('a message with the epoch of another incarnation', () => {
    const crossed = Buffer.from(sealed);
    crossed.write(LATER, 5, 'hex');
    expect(refusal(b, SUBJECT, crossed)).toBe('forged');
  });

  test('a message with another counter', () => {
    const replayed = Buffer.from(sealed);
    replayed[22]! += 1;
    expect(refusal(b, SUBJECT, replayed)).toBe('forged');
  });

  test('a byte of the name moved into the subject', () => {
    const host = envelopeOf('ab');
    const moved = Buffer.from(host.seal('c', Buffer.from('x')));
    moved[23] = 1;
    expect(refusal(b, 'bc', Buffer.concat([moved.subarray(0, end), moved.subarray(26)]))).toBe(
      'forged',
    );
  });

  test('a message with every bit flipped once', () => {
    const reasons = new Set<string>();
    for (let bit = 0; bit < sealed.length * 8; bit += 1) {
      const flipped = Buffer.from(sealed);
      flipped[bit >> 3]! ^= 1 << (bit & 7);
      reasons.add(refusal(b, SUBJECT, flipped));
    }
    expect([...reasons].sort()).toEqual(['forged', 'format', 'key']);
  });

  test('a message cut at every length', () => {
    for (let length = 0; length < sealed.length; length += 1) {
      expect(refusal(b, SUBJECT, sealed.subarray(0, length))).toMatch(/^(format|forged)$/);
    }
  });

  test('a message that is too long', () => {
    expect(refusal(b, SUBJECT, Buffer.alloc(MAX_ENVELOPE + 1, 1))).toBe('oversized');
  });

  test('a name that is not a token of a subject', () => {
    for (const host of ['a.b', '', '*', '>', 'a b', 'h'.repeat(65)]) {
      const bytes = envelopeOf(host).seal(SUBJECT, Buffer.from('x'));
      expect(refusal(b, SUBJECT, bytes)).toBe('format');
    }
  });

  test('random bytes and random changes open nothing (fuzz)', () => {
    const random = new Random(1);
    for (let run = 0; run < RUNS; run += 1) {
      const bytes = random.chance(0.3) ? random.bytes(random.below(200)) : Buffer.from(sealed);
      for (let change = 0; change <= random.below(4); change += 1) {
        if (bytes.length > 0) bytes[random.below(bytes.length)]! ^= 1 + random.below(255);
      }
      if (!bytes.equals(sealed)) expect(refusal(b, SUBJECT, bytes)).not.toBe('opened');
    }
  }, 600_000);
});
