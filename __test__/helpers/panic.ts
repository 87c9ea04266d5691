import type * as datasoup from '../..';
import type { types } from '../..';

/** A method of the addon that lib/ does not expose. */
interface NativeWorker {
  panicForTests(): void;
}

type Constructor = new (...args: unknown[]) => NativeWorker;

const binding = require('../../lib/native') as { Worker: Constructor };

const { Worker } = binding;

if (require.cache[require.resolve('../../index.js')]) {
  throw new Error('import helpers/panic before the package, whose native side it wraps');
}

let latest: NativeWorker | undefined;

binding.Worker = new Proxy(Worker, {
  construct(target, args) {
    latest = new target(...(args as unknown[]));
    return latest;
  },
});

const { createWorker } = require('../..') as typeof datasoup;

/** What makes the thread of the Worker panic that was created last. */
export function panicOfLatest(): () => void {
  const native = latest;
  return () => native?.panicForTests();
}

/** Creates a Worker, and a function that makes its thread panic. */
export async function createMortalWorker(): Promise<{ worker: types.Worker; panic: () => void }> {
  const worker = await createWorker();
  return { worker, panic: panicOfLatest() };
}
