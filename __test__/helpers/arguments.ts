import { types } from 'node:util';

/**
 * Names and invalid values for tests of arguments. The name of each NOT_ table says which type its values do not have.
 */

/** Values that are no integer from `min` to `max`. */
export function notIntegers(min: number, max: number): unknown[] {
  return [min - 1, max + 1, min + 0.5, NaN, Infinity, -Infinity, String(min + 1), {}, [], true];
}

/** Values that are no port from `min` to 65535. A string of digits is one. */
export function notPorts(min: number): unknown[] {
  const strings = ['', 'a', '-1', '1.5', '65536', ' 80', '0x50', '1e3'];
  return [...notIntegers(min, 65_535).filter((value) => typeof value !== 'string'), ...strings];
}

export const NOT_STRINGS: unknown[] = [5, true, {}, [], Buffer.from('a'), Symbol('s')];
export const NOT_BOOLEANS: unknown[] = [0, 1, 'true', {}, []];
export const NOT_OBJECTS: unknown[] = [5, 'object', true];
export const NOT_ARRAYS: unknown[] = [5, 'array', true, {}];
/** Addresses that no peer can have, or that cannot be reached without a zone. */
export const NOT_PEERS = [
  '0.0.0.0',
  '255.255.255.255',
  '224.0.0.1',
  '239.255.255.250',
  '::',
  '0:0::0',
  '::ffff:0.0.0.0',
  '::ffff:224.0.0.1',
  'ff02::1',
  'fe80::1',
];

/** The options of a transport with SCTP that take a number of bytes. */
export const SCTP_SIZES = [
  'maxSendMessageSize',
  'maxReceiveMessageSize',
  'sctpSendBufferSize',
  'sctpPerStreamSendQueueLimit',
  'sctpMaxReceiverWindowBufferSize',
  'sctpDefaultStreamBufferedAmountLowThreshold',
  'maxSctpMessageSize',
];

/** A value as a test title shows it. */
export function shown(value: unknown): string {
  if (Buffer.isBuffer(value)) {
    return `Buffer(${value.length})`;
  }
  if (typeof value === 'number' || typeof value === 'symbol' || value === undefined) {
    return String(value);
  }
  if (typeof value === 'function') {
    return value.name;
  }
  return JSON.stringify(value, (_key, inner: unknown) =>
    typeof inner === 'number' && !Number.isFinite(inner) ? String(inner) : inner,
  );
}

/** The value as a string, for titles. A Proxy of a typed array has no string. */
export function asText(value: unknown): string {
  return types.isProxy(value) ? 'a Proxy' : String(value);
}

/** Rows for `test.each`: the title of each value, then the value. */
export function titled<T>(cases: T[], title: (value: T) => string = shown): [string, T][] {
  return cases.map((value) => [title(value), value]);
}
