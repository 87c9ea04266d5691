import * as datasoup from '../..';
import type { types } from '../..';

/**
 * Imported for its effect: at the end of a test file it closes the Workers that a failed test left open, so that Jest
 * can exit.
 */

const workers = new Set<types.Worker>();

datasoup.observer.on('newworker', (worker) => {
  workers.add(worker);
  worker.observer.once('close', () => workers.delete(worker));
});

afterAll(() => {
  for (const worker of workers) {
    worker.close();
  }
});
