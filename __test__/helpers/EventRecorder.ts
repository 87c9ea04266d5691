import type { types } from '../..';
import { EVENTS, OBSERVER_EVENTS } from './eventNames';
import type { Emitter } from './wait';

type Watched = Emitter & { observer?: Emitter };

/**
 * Records the events of any number of objects and their observers in order, one line per event:
 * `dataProducer transportclose`, `dataProducer.observer close`, `transport icestatechange(connected)`.
 */
export class EventRecorder {
  #lines: string[] = [];
  readonly #names = new Map<unknown, string>();

  /** Records the events of each of `objects`, under its key, and of its observer. */
  watch(objects: Record<string, Watched>): this {
    for (const [name, object] of Object.entries(objects)) {
      this.#names.set(object, name);
      for (const event of EVENTS) {
        object.on(event, (...args) => this.#add(name, event, args));
      }
      for (const event of object.observer ? OBSERVER_EVENTS : []) {
        object.observer?.on(event, (...args) => this.#add(`${name}.observer`, event, args));
      }
    }
    return this;
  }

  /** Adds a line of the test's own, e.g. `(close returned)`. */
  note(line: string): void {
    this.#lines.push(line);
  }

  /** Returns the lines since the last call, and removes them. */
  take(): string[] {
    const lines = this.#lines;
    this.#lines = [];
    return lines;
  }

  /** The lines since the last `take()`. */
  get lines(): string[] {
    return [...this.#lines];
  }

  #add(name: string, event: string, args: unknown[]): void {
    const shown = args.map((arg) => this.#show(arg)).join(', ');
    this.#lines.push(shown === '' ? `${name} ${event}` : `${name} ${event}(${shown})`);
  }

  #show(arg: unknown): string {
    if (Buffer.isBuffer(arg)) {
      return arg.length <= 8 ? `'${arg.toString('latin1')}'` : `Buffer(${arg.length})`;
    }
    if (arg instanceof Error) {
      return `${arg.name}: ${arg.message}`;
    }
    if (typeof arg !== 'object' || arg === null) {
      return String(arg);
    }
    const name = this.#names.get(arg);
    if (name !== undefined) {
      return name;
    }
    return arg.constructor === Object ? JSON.stringify(arg) : arg.constructor.name;
  }
}

/** The two lines of a transport called `name` and of its observer: `event`, with the new state and the reason. */
export function ends(
  name: string,
  event: string,
  state: string,
  error: types.StateError<string> | undefined,
): string[] {
  const args = `${event}(${state}, ${JSON.stringify(error)})`;
  return [`${name} ${args}`, `${name}.observer ${args}`];
}

/**
 * The lines with which the record of an object ends when it closes: `event` (none if the application closed it),
 * 'close', and 'close' on its observer.
 */
export function closes(name: string, event?: string): string[] {
  const reason = event === undefined ? [] : [`${name} ${event}`];
  return [...reason, `${name} close`, `${name}.observer close`];
}
