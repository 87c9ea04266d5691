import { getEventListeners } from 'node:events';

import { errors, extras, setLogEventListeners } from '..';
import { THROWN } from '../robustness/thrown';
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

describe('emitter.safeEmit() with a listener that throws', () => {
  type Warning = { type: string; code: string; detail: string };
  let warnings: [string, Warning][];

  beforeEach(() => {
    warnings = [];
    jest
      .spyOn(process, 'emitWarning')
      .mockImplementation(
        ((text: string, more: Warning) => void warnings.push([text, more])) as any,
      );
  });

  afterEach(() => jest.restoreAllMocks());

  function throws(emitter: NodeJS.EventEmitter, eventName: string, thrown: unknown): void {
    emitter.on(eventName, () => {
      throw thrown;
    });
  }

  test('and no listenererror listener warns once per emitter and event', () => {
    for (const emitter of [
      new EnhancedEventEmitter<Events>(),
      new EnhancedEventEmitter<Events>(),
    ]) {
      throws(emitter, 'ping', new Error('boom'));
      throws(emitter, 'pong', new Error('boom'));
      for (let count = 0; count < 3; count++) {
        expect(emitter.safeEmit('ping', count)).toBe(false);
        expect(emitter.safeEmit('pong')).toBe(false);
      }
    }
    expect(
      warnings.map(([text]) => text.match(/^a listener of '(\w+)' on \w+ threw \(/)?.[1]),
    ).toEqual(['ping', 'pong', 'ping', 'pong']);
    for (const [, { type, code, detail }] of warnings) {
      expect({ type, code }).toEqual({ type: 'DatasoupWarning', code: 'DATASOUP_LISTENER_THREW' });
      expect(detail).toMatch(/^Error: boom\n +at .*EnhancedEventEmitter.test.ts/s);
    }
  });

  test('and a listenererror listener does not warn', () => {
    const emitter = new EnhancedEventEmitter<Events>();
    throws(emitter, 'pong', new Error('boom'));
    emitter.on('listenererror', () => {});
    emitter.safeEmit('pong');
    expect(warnings).toEqual([]);
  });

  test('and a listenererror listener that throws too warns about the latter', () => {
    const emitter = new EnhancedEventEmitter<Events>();
    let count = 0;
    throws(emitter, 'pong', new Error('boom'));
    emitter.on('listenererror', () => {
      count++;
      throw new Error('boom again');
    });
    emitter.safeEmit('pong');
    emitter.safeEmit('pong');
    expect(count).toBe(2);
    expect(warnings).toEqual([
      [
        expect.stringContaining("a listener of 'listenererror' on "),
        expect.objectContaining({ detail: expect.stringContaining('boom again') }),
      ],
    ]);
  });

  test('warns about a bounded number of events, with a bounded text', () => {
    const emitter = new EnhancedEventEmitter();
    for (let number = 0; number < 1_000; number++) {
      throws(emitter, `event ${number}`, new Error('x'.repeat(100_000)));
      emitter.safeEmit(`event ${number}`);
    }
    expect(warnings.length).toBe(32);
    expect(Math.max(...warnings.map(([, { detail }]) => detail.length))).toBeLessThan(5_000);
  });

  test.each(THROWN.map(({ title, make }) => [title, make] as const))(
    'never throws, nor warns more than once: %s',
    (_title, make) => {
      const emitter = new EnhancedEventEmitter<Events>();
      throws(emitter, 'pong', make());
      expect(emitter.safeEmit('pong')).toBe(false);
      expect(emitter.safeEmit('pong')).toBe(false);
      expect(warnings.length).toBe(1);
      expect(typeof warnings[0]![1].detail).toBe('string');
      throws(emitter, 'listenererror', make());
      expect(emitter.safeEmit('pong')).toBe(false);
      expect(warnings.length).toBe(2);
    },
  );

  test('does not throw although process.emitWarning() and the log do', () => {
    const boom = (): never => {
      throw Object.create(null);
    };
    jest.spyOn(process, 'emitWarning').mockImplementation(boom);
    setLogEventListeners({ ondebug: boom, onwarn: boom, onerror: boom });
    const emitter = new EnhancedEventEmitter<Events>();
    throws(emitter, 'pong', new Error('boom'));
    expect(emitter.safeEmit('pong')).toBe(false);
    setLogEventListeners();
  });
});

describe('enhancedOnce()', () => {
  test('rejects with NotFoundError when the emitter emits close, and leaves no listener', async () => {
    const emitter = new EnhancedEventEmitter<Events & { close: [] }>();
    const { signal } = new AbortController();
    const next = enhancedOnce(emitter, 'ping', { signal });
    emitter.emit('close');
    await expect(next).rejects.toThrow(errors.NotFoundError);
    await expect(next).rejects.toThrow("'close' was emitted before 'ping'");
    expect(emitter.eventNames()).toEqual([]);
    expect(getEventListeners(signal, 'abort')).toEqual([]);
  });

  test('rejects with an AbortError when its signal aborts, before the call or after, and leaves no listener', async () => {
    const emitter = new EnhancedEventEmitter<Events>();
    const controller = new AbortController();
    const next = enhancedOnce(emitter, 'ping', { signal: controller.signal });
    controller.abort('enough');
    await expect(next).rejects.toMatchObject({ code: 'ABORT_ERR', cause: 'enough' });
    const late = enhancedOnce(emitter, 'ping', { signal: controller.signal });
    await expect(late).rejects.toMatchObject({ code: 'ABORT_ERR', cause: 'enough' });
    expect(emitter.eventNames()).toEqual([]);
    expect(getEventListeners(controller.signal, 'abort')).toEqual([]);
  });

  test.each([[5], ['signal'], [{}]])('rejects the signal %p with a TypeError', async (signal) => {
    const emitter = new EnhancedEventEmitter<Events>();
    await expect(enhancedOnce(emitter, 'ping', { signal: signal as never })).rejects.toThrow(
      'signal must be an AbortSignal',
    );
    expect(emitter.eventNames()).toEqual([]);
  });
});

test('enhancedOnce() resolves with the arguments of the next event', async () => {
  const emitter = new EnhancedEventEmitter<Events>();
  const next = enhancedOnce<Events>(emitter, 'ping');
  emitter.emit('ping', 7);
  emitter.emit('ping', 8);
  await expect(next).resolves.toEqual([7]);
  expect(emitter.listenerCount('ping')).toBe(0);
});
