import * as datasoup from '../..';
import type { types } from '../..';

/** A Worker and its Router, which all tests of the file that imports them share. */
export let worker: types.Worker;
export let router: types.Router;

beforeAll(async () => {
  worker = await datasoup.createWorker();
  router = await worker.createRouter();
});

afterAll(() => worker.close());
