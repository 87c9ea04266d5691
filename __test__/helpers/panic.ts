import { latestWorker } from './latestWorker';
import type * as datasoup from '../..';
import type { types } from '../..';

const { createWorker } = require('../..') as typeof datasoup;

/** Returns a function that makes the thread panic that belongs to the Worker created last. */
export function panicOfLatest(): () => void {
  const native = latestWorker();
  return () => native?.panicForTests();
}

/** Creates a Worker, and a function that makes its thread panic. */
export async function createMortalWorker(): Promise<{ worker: types.Worker; panic: () => void }> {
  const worker = await createWorker();
  return { worker, panic: panicOfLatest() };
}
