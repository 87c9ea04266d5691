/**
 * Waiting for events, never for time: each of these resolves as soon as what it names has happened,
 * and rejects with what it was waiting for if it does not happen at all.
 */

/** The part of an event emitter that is needed to wait for an event. */
export interface Emitter {
  on(event: string, listener: (...args: any[]) => void): unknown;
  off(event: string, listener: (...args: any[]) => void): unknown;
}

/** How long something may take before a test is told that it did not happen, in milliseconds. */
export const PATIENCE = 30_000;

/** `promise`, or a rejection that says `what` was waited for in vain. */
export async function within<T>(
  promise: Promise<T>,
  what: string | (() => string),
  patience = PATIENCE,
): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const timeout = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => {
      reject(new Error(`waited in vain: ${typeof what === 'string' ? what : what()}`));
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

/** Resolves once `condition` holds; it is looked at now and at each `event` of `emitter`. */
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

/** Resolves once `transport` is in `state`, announced by its event. */
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

/** The next macrotask, in which everything is done that this one has already caused. */
export function nextMacrotask(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
