'use strict';

/**
 * What a listener may throw, of every kind: most cannot be made a string, and some throw when they are looked at.
 *
 * @type {{ title: string, make: () => unknown }[]}
 */
const THROWN = [
  { title: 'an Error', make: () => new Error('thrown by a listener') },
  { title: 'undefined', make: () => undefined },
  { title: 'null', make: () => null },
  { title: 'a number', make: () => 0 },
  { title: 'a BigInt', make: () => 1n },
  { title: 'an empty string', make: () => '' },
  { title: 'a string', make: () => 'thrown by a listener' },
  { title: 'a Symbol', make: () => Symbol('thrown') },
  { title: 'a function', make: () => () => {} },
  { title: 'a Buffer', make: () => Buffer.alloc(10) },
  { title: 'an object without a prototype', make: () => Object.create(null) },
  { title: 'an object whose toString is a number', make: () => ({ toString: 1, valueOf: 1 }) },
  {
    title: 'an object whose conversions throw',
    make: () => ({
      get toString() {
        throw new Error('toString');
      },
      [Symbol.toPrimitive]() {
        throw new Error('toPrimitive');
      },
    }),
  },
  {
    title: 'an object that throws when it is inspected',
    make: () => ({
      [Symbol.for('nodejs.util.inspect.custom')]() {
        throw Object.create(null);
      },
    }),
  },
  { title: 'an Error behind a Proxy that throws', make: () => new Proxy(new Error('x'), TRAPS) },
  { title: 'a revoked Proxy', make: revoked },
  {
    title: 'an Error whose stack throws',
    make: () =>
      Object.defineProperty(new Error('stack'), 'stack', {
        get() {
          throw Symbol('stack');
        },
      }),
  },
  {
    title: 'an Error whose name and message are no strings',
    make: () =>
      Object.assign(new Error(), { name: { toString: null }, message: Symbol('message') }),
  },
];

/** @type {ProxyHandler<Error>} */
const TRAPS = Object.fromEntries(
  ['get', 'getOwnPropertyDescriptor', 'getPrototypeOf', 'has', 'ownKeys'].map((trap) => [
    trap,
    () => {
      throw new Error(trap);
    },
  ]),
);

function revoked() {
  const { proxy, revoke } = Proxy.revocable({}, {});

  revoke();
  return proxy;
}

exports.THROWN = THROWN;
