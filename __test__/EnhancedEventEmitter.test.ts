import { extras } from '..';
import { nextMacrotask } from './helpers/wait';

type Events = { ping: [number]; pong: []; listenererror: [string, Error] };

const { EnhancedEventEmitter, enhancedOnce } = extras;

test('new EnhancedEventEmitter() accepts any number of listeners without a warning', async () => {
  const warnings: Error[] = [];
  const listener = (warning: Error): void => void warnings.push(warning);
  process.on('warning', listener);
  const emitter = new EnhancedEventEmitter<Events>();
  for (let count = 0; count < 1000; count++) {
    emitter.on('ping', () => {});
  }
  await nextMacrotask();
  process.off('warning', listener);
  expect(warnings).toEqual([]);
  expect(emitter.listenerCount('ping')).toBe(1000);
});

test('emitter.on(), once(), off(), prependListener() and emit() behave as in EventEmitter', () => {
  const emitter = new EnhancedEventEmitter<Events>();
  const seen: string[] = [];
  const on = (value: number): void => void seen.push(`on ${value}`);
  emitter.on('ping', on);
  emitter.once('ping', (value) => seen.push(`once ${value}`));
  emitter.prependListener('ping', (value) => seen.push(`first ${value}`));
  expect(emitter.emit('ping', 1)).toBe(true);
  expect(emitter.emit('ping', 2)).toBe(true);
  emitter.off('ping', on);
  expect(emitter.emit('ping', 3)).toBe(true);
  emitter.removeAllListeners('ping');
  expect(emitter.emit('ping', 4)).toBe(false);
  expect(seen).toEqual(['first 1', 'on 1', 'once 1', 'first 2', 'on 2', 'first 3']);
});

test('emitter.safeEmit() passes the arguments, and returns whether there was a listener', () => {
  const emitter = new EnhancedEventEmitter<Events>();
  expect(emitter.safeEmit('ping', 1)).toBe(false);
  const seen: number[] = [];
  emitter.on('ping', (value) => seen.push(value));
  expect(emitter.safeEmit('ping', 2)).toBe(true);
  expect(seen).toEqual([2]);
});

test('emitter.safeEmit() emits the error of a listener that throws as listenererror', () => {
  const emitter = new EnhancedEventEmitter<Events>();
  const boom = new Error('boom');
  const errors: unknown[] = [];
  emitter.on('pong', () => {
    throw boom;
  });
  emitter.on('listenererror', (eventName, error) => errors.push([eventName, error]));
  emitter.safeEmit('pong');
  expect(errors).toEqual([['pong', boom]]);
  expect((errors[0] as unknown[])[1]).toBe(boom);
});

test('emitter.safeEmit() does not throw without a listenererror listener', () => {
  const emitter = new EnhancedEventEmitter<Events>();
  emitter.on('pong', () => {
    throw new Error('boom');
  });
  expect(() => emitter.safeEmit('pong')).not.toThrow();
});

test('emitter.safeEmit() does not throw if a listenererror listener throws', () => {
  const emitter = new EnhancedEventEmitter<Events>();
  let count = 0;
  emitter.on('pong', () => {
    throw new Error('boom');
  });
  emitter.on('listenererror', () => {
    count++;
    throw new Error('boom again');
  });
  expect(() => emitter.safeEmit('pong')).not.toThrow();
  expect(count).toBe(1);
});

test('enhancedOnce() resolves with the arguments of the next event', async () => {
  const emitter = new EnhancedEventEmitter<Events>();
  const next = enhancedOnce<Events>(emitter, 'ping');
  emitter.emit('ping', 7);
  emitter.emit('ping', 8);
  await expect(next).resolves.toEqual([7]);
  expect(emitter.listenerCount('ping')).toBe(0);
});
