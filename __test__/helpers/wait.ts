/**
 * Waiting for events, never for time. Each function resolves as soon as its event has happened. If the event does
 * not happen, the error names the event.
 */

/** The part of an event emitter that these functions need. */
export interface Emitter {
  on(event: string, listener: (...args: any[]) => void): unknown;
  off(event: string, listener: (...args: any[]) => void): unknown;
}

/** How long to wait for an event before the test fails, in milliseconds. */
export const PATIENCE = 30_000;

/** Settles as `promise` does, or rejects after `patience` ms with an error that names `what`. */
export async function within<T>(
  promise: Promise<T>,
  what: string | (() => string),
  patience = PATIENCE,
): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const timeout = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => {
      reject(new Error(`timed out: ${typeof what === 'string' ? what : what()}`));
    }, patience);
  });
  try {
    return await Promise.race([promise, timeout]);
  } finally {
    clearTimeout(timer);
  }
}

/** The arguments of the next `event` of `emitter`. */
export function nextEvent(emitter: Emitter, event: string, patience = PATIENCE): Promise<any[]> {
  let listener: (...args: any[]) => void = () => {};
  const happened = new Promise<any[]>((resolve) => {
    listener = (...args) => resolve(args);
    emitter.on(event, listener);
  });
  return within(happened, `event '${event}'`, patience).finally(() => emitter.off(event, listener));
}

/** Resolves once `condition` holds. Checks the condition now and at each `event` of `emitter`. */
export async function until(
  emitter: Emitter,
  event: string,
  condition: () => boolean,
  what: string | (() => string) = `a condition on '${event}'`,
  patience = PATIENCE,
): Promise<void> {
  if (condition()) {
    return;
  }
  let listener = (): void => {};
  const happened = new Promise<void>((resolve, reject) => {
    listener = () => {
      try {
        if (condition()) {
          resolve();
        }
      } catch (error) {
        reject(error as Error);
      }
    };
    emitter.on(event, listener);
  });
  try {
    await within(happened, what, patience);
  } finally {
    emitter.off(event, listener);
  }
}

type StateOf = 'iceState' | 'dtlsState' | 'sctpState';

/** Resolves once `transport[which]` is `state`. Checks at each event of that state. */
export function untilState<K extends StateOf>(
  transport: Emitter & Partial<Record<StateOf, unknown>>,
  which: K,
  state: string,
  patience = PATIENCE,
): Promise<void> {
  return until(
    transport,
    `${which.toLowerCase()}change`,
    () => transport[which] === state,
    () => `${which} '${state}', it is '${String(transport[which])}'`,
    patience,
  );
}

/** Resolves in the next macrotask, after the microtasks and immediates of this one. */
export function nextMacrotask(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/**
 * Resolves with the result of `arrived` once its size stays the same during a round trip. Nothing arrives later,
 * because a datagram still in the network would delay the round trip as well.
 */
export async function settled<T>(
  arrived: () => T | Promise<T>,
  sizeOf: (result: T) => number,
  trip: () => Promise<unknown>,
): Promise<T> {
  let after = await arrived();
  let before: number;
  do {
    before = sizeOf(after);
    await trip();
    after = await arrived();
  } while (sizeOf(after) > before);
  return after;
}
