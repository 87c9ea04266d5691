import * as datasoup from '../..';
import type { types } from '../..';

let worker: types.Worker;
let worker2: types.Worker;
/** Routers on two Workers, new for each test of the file that imports them. */
export let router: types.Router;
export let router2: types.Router;

beforeAll(async () => {
  worker = await datasoup.createWorker();
  worker2 = await datasoup.createWorker();
});

beforeEach(async () => {
  router = await worker.createRouter();
  router2 = await worker2.createRouter();
});

afterEach(() => {
  router.close();
  router2.close();
});

afterAll(() => {
  worker.close();
  worker2.close();
});
