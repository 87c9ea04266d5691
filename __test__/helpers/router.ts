import * as datasoup from '../..';
import type { types } from '../..';

/** A Worker and its Router, new for each test of the file that imports them. */
export let worker: types.Worker;
export let router: types.Router;

beforeEach(async () => {
  worker = await datasoup.createWorker();
  router = await worker.createRouter();
});

afterEach(() => worker.close());
