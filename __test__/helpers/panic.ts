import { latestWorker } from './latestWorker';
import type * as datasoup from '../..';
import type { types } from '../..';

const { createWorker } = require('../..') as typeof datasoup;

/** What makes the thread of the Worker panic that was created last. */
export function panicOfLatest(): () => void {
  const native = latestWorker();
  return () => native?.panicForTests();
}

/** Creates a Worker, and a function that makes its thread panic. */
export async function createMortalWorker(): Promise<{ worker: types.Worker; panic: () => void }> {
  const worker = await createWorker();
  return { worker, panic: panicOfLatest() };
}
