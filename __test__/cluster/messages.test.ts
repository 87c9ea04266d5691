import { Refusal } from '../../lib/cluster/envelope';
import {
  decode,
  encode,
  hashOf,
  MAX_SUBCHANNELS,
  MAX_TEXT,
  split,
  Subjects,
} from '../../lib/cluster/messages';
import type { Entry, Message } from '../../lib/cluster/types';
import { Random } from '../helpers/cluster/random';

type Kind = 'room' | 'to' | 'beat';

/** `CLUSTER_FUZZ=1000000 npx jest cluster/messages cluster/envelope` takes minutes. */
const RUNS = Number(process.env['CLUSTER_FUZZ'] ?? 3000);

const ID = '6c1f9f2e-94a6-4b43-8f55-0d7d3c2b1a00';
const NONCE = '0123456789abcdef0123456789abcdef';
const EPOCH = '0123456789abcdef01234567';
const ENTRY: Entry = {
  id: ID,
  label: 'chat',
  protocol: '',
  info: '{"user":"ann"}',
  ordered: false,
  maxRetransmits: 2,
  retain: { messages: 1, maxAge: 5 },
};

/** Each message, with all of its members. */
const WHOLE: [Kind, Message][] = [
  ['room', { type: 'state', seq: 4, ask: NONCE }],
  ['room', { type: 'diff', from: 4, seq: 6, add: [ENTRY], del: [ID] }],
  ['room', { type: 'leave', seq: 7 }],
  ['beat', { type: 'beat', beat: 1, seq: 7 }],
  ['beat', { type: 'bye' }],
  ['to', { type: 'list', id: NONCE, to: EPOCH, room: NONCE, have: 3 }],
  ['to', { type: 'list', re: NONCE, room: NONCE, seq: 6 }],
  [
    'to',
    { type: 'list', re: NONCE, room: NONCE, gone: false, seq: 6, part: 0, parts: 1, list: [ENTRY] },
  ],
  [
    'to',
    { type: 'pipe', id: NONCE, to: EPOCH, pipe: 1, address: '10.0.0.1', port: 1, fingerprint: 'f' },
  ],
  ['to', { type: 'piped', re: NONCE, address: '10.0.0.1', port: 1, fingerprint: 'f' }],
  ['to', { type: 'piped', re: NONCE, error: 'refused' }],
  ['to', { type: 'pipe', id: NONCE, to: EPOCH, pipe: 1, bus: NONCE, fingerprint: 'f' }],
  ['to', { type: 'piped', re: NONCE, bus: NONCE, fingerprint: 'f' }],
  [
    'to',
    {
      type: 'want',
      id: NONCE,
      to: EPOCH,
      pipe: 1,
      gen: 2,
      items: [
        [ID, true, 3, false],
        [ID, [1, 2], 4, true],
        [ID, null],
      ],
    },
  ],
  [
    'to',
    {
      type: 'given',
      re: NONCE,
      items: [
        [ID, 7],
        [ID, null],
      ],
    },
  ],
  ['to', { type: 'given', re: NONCE, error: 'no pipe' }],
];

/** Why a message is refused. */
function refusal(kind: Kind, bytes: Buffer): string {
  try {
    decode(kind, bytes);
  } catch (error) {
    if (error instanceof Refusal) return error.reason;
    throw error;
  }
  return 'taken';
}

const json = (message: object): Buffer => Buffer.from(JSON.stringify({ v: 1, ...message }));

test.each(WHOLE)('%s: what is encoded is decoded: %j', (kind, message) => {
  expect(decode(kind, encode(message))).toEqual({ message, takes: 1 });
});

test.each(WHOLE)('%s: belongs to no other kind of subject: %j', (kind, message) => {
  for (const other of (['room', 'to', 'beat'] as const).filter((it) => it !== kind)) {
    expect(refusal(other, encode(message))).toBe('malformed');
  }
});

test('unknown members are left out', () => {
  expect(decode('beat', json({ type: 'beat', beat: 1, seq: 2, mood: 'good' })).message).toEqual({
    type: 'beat',
    beat: 1,
    seq: 2,
  });
});

test('another major version is refused, whatever it says', () => {
  expect(refusal('room', json({ v: 2, type: 'news' }))).toBe('ahead');
  expect(refusal('room', json({ v: 2, takes: 3, type: 'news' }))).toBe('incompatible');
  expect(refusal('room', json({ v: 3, type: 'news' }))).toBe('incompatible');
  expect(refusal('room', json({ v: 0, type: 'state', seq: 1 }))).toBe('incompatible');
  expect(refusal('room', json({ v: '1', type: 'state', seq: 1 }))).toBe('malformed');
});

test('releases whose newest versions differ by one take from each other what both write', () => {
  const bye: Message = { type: 'bye' };
  const range = { oldest: 2, current: 3 };
  const takes = (bytes: Buffer): number => decode('beat', bytes, range).takes;

  expect(encode(bye, 2, 2).toString()).toBe('{"v":2,"type":"bye"}');
  expect(encode(bye, 1, 2).toString()).toBe('{"v":1,"takes":2,"type":"bye"}');
  // The release before writes the version before its own to hosts that it has not heard.
  expect(takes(encode(bye, 1, 2))).toBe(2);
  expect(takes(encode(bye, 2))).toBe(2);
  expect(takes(encode(bye, 2, 3))).toBe(3);
  expect(takes(encode(bye, 3))).toBe(3);
  expect(takes(encode(bye, 3, 4))).toBe(4);
  // It has not heard this host yet.
  expect(() => takes(encode(bye, 4))).toThrow('ahead');
  expect(() => takes(encode(bye, 1))).toThrow('incompatible');
  expect(() => takes(encode(bye, 4, 5))).toThrow('incompatible');
  // A release leaves out what it does not know.
  expect(decode('beat', encode(bye, 1, 2)).message).toEqual(bye);
});

test.each<[string, Kind, object | string]>([
  ['no JSON', 'room', '{'],
  ['no object', 'room', 'null'],
  ['an array', 'room', '[]'],
  ['no type', 'room', json({}).toString()],
  ['a sender that does not take its own version', 'beat', { takes: 0, type: 'bye' }],
  ['a sender that writes what is two versions old', 'beat', { takes: 3, type: 'bye' }],
  ['a version that is no number', 'beat', { takes: '2', type: 'bye' }],
  ['a type of Object.prototype', 'room', { type: 'constructor' }],
  ['a negative number', 'room', { type: 'state', seq: -1 }],
  ['a fraction', 'room', { type: 'state', seq: 1.5 }],
  ['a number beyond 2^53', 'room', { type: 'state', seq: 2 ** 60 }],
  ['a diff that goes back', 'room', { type: 'diff', from: 2, seq: 2, add: [], del: [] }],
  ['a list that is none', 'room', { type: 'diff', from: 1, seq: 2, add: {}, del: [] }],
  ['an id that is no UUID', 'room', { type: 'diff', from: 1, seq: 2, add: [], del: ['x'] }],
  [
    'a long info',
    'room',
    {
      type: 'diff',
      from: 1,
      seq: 2,
      add: [{ ...ENTRY, info: 'ä'.repeat(MAX_TEXT / 2 + 1) }],
      del: [],
    },
  ],
  ['neither question nor answer', 'to', { type: 'list', room: NONCE, seq: 1 }],
  ['a question without an epoch', 'to', { type: 'list', id: NONCE, room: NONCE }],
  [
    'a part beyond the last',
    'to',
    { type: 'list', re: NONCE, room: NONCE, seq: 1, part: 1, parts: 1, list: [] },
  ],
  [
    'a list without its number',
    'to',
    { type: 'list', re: NONCE, room: NONCE, part: 0, parts: 1, list: [] },
  ],
  [
    'a list of too many parts',
    'to',
    { type: 'list', re: NONCE, room: NONCE, seq: 1, part: 0, parts: 2049, list: [] },
  ],
  [
    'port 0',
    'to',
    { type: 'pipe', id: NONCE, to: EPOCH, pipe: 1, address: '::1', port: 0, fingerprint: '' },
  ],
  [
    'a pipe over both',
    'to',
    { type: 'pipe', id: NONCE, to: EPOCH, pipe: 1, address: '::1', bus: NONCE, fingerprint: '' },
  ],
  [
    'a relay on another subject',
    'to',
    { type: 'pipe', id: NONCE, to: EPOCH, pipe: 1, bus: 'room.x', fingerprint: '' },
  ],
  ['a pipe to nowhere', 'to', { type: 'pipe', id: NONCE, to: EPOCH, pipe: 1, fingerprint: '' }],
  ['half an answer', 'to', { type: 'piped', re: NONCE, address: '::1' }],
  [
    'subchannels that are false',
    'to',
    { type: 'want', id: NONCE, to: EPOCH, pipe: 1, gen: 1, items: [[ID, false, 1, true]] },
  ],
  [
    'too many subchannels',
    'to',
    {
      type: 'want',
      id: NONCE,
      to: EPOCH,
      pipe: 1,
      gen: 1,
      items: [[ID, Array(MAX_SUBCHANNELS + 1).fill(1), 1, true]],
    },
  ],
  ['no stream', 'to', { type: 'want', id: NONCE, to: EPOCH, pipe: 1, gen: 1, items: [[ID, true]] }],
  [
    'a stream beyond 65535',
    'to',
    { type: 'want', id: NONCE, to: EPOCH, pipe: 1, gen: 1, items: [[ID, true, 65536, true]] },
  ],
  ['a count that is none', 'to', { type: 'given', re: NONCE, items: [[ID, '1']] }],
])('refuses %s', (_, kind, message) => {
  const bytes = typeof message === 'string' ? Buffer.from(message) : json(message);
  expect(refusal(kind, bytes)).toBe('malformed');
});

test('takes or refuses whatever comes, and takes only what fits (fuzz)', () => {
  const random = new Random(2);
  const values = [null, true, -1, 0, 1e30, '', 'x', [], {}, [[]], NONCE, ID, [ID, [1]]];
  let taken = 0;

  const change = (value: unknown): unknown => {
    if (random.chance(0.15)) return random.pick(values);
    if (Array.isArray(value)) return value.map(change);
    if (typeof value === 'object' && value !== null) {
      return Object.fromEntries(
        Object.entries(value)
          .filter(() => random.chance(0.95))
          .map(([name, each]) => [name, change(each)]),
      );
    }
    return value;
  };

  for (let run = 0; run < RUNS; run += 1) {
    const [kind, message] = random.pick(WHOLE);
    const bytes = json(change({ v: 1, takes: 1, ...message }) as object);
    if (random.chance(0.1)) bytes[random.below(bytes.length)] = random.below(256);
    if (refusal(kind, bytes) === 'taken') {
      taken += 1;
      // A message that was accepted and is encoded again is accepted again, unchanged.
      const { message, takes } = decode(kind, bytes);
      expect(decode(kind, encode(message, 1, takes))).toEqual({ message, takes });
    }
  }
  expect(taken).toBeGreaterThan(RUNS / 30);
}, 600_000);

test('split() keeps order and limit', () => {
  const items = Array.from({ length: 100 }, (_, index) => 'x'.repeat(index));
  const parts = split(items, 300);

  expect(parts.flat()).toEqual(items);
  expect(parts.length).toBeGreaterThan(10);
  for (const part of parts) expect(JSON.stringify(part).length).toBeLessThanOrEqual(302);
  expect(split([], 300)).toEqual([[]]);
  expect(split(['x'.repeat(500)], 300)).toEqual([['x'.repeat(500)]]);
});

test('subjects show hashes of rooms, not their names', () => {
  expect(new Subjects('p').of('room', hashOf('secret room'))).toMatch(/^p\.room\.[0-9a-f]{32}$/);
});
