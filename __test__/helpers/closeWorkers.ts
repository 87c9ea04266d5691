import * as datasoup from '../..';
import type { types } from '../..';

/**
 * Imported for its effect: whatever a test file leaves open, when a test fails for one, is closed at its
 * end, so that Jest ends by itself.
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
