import { arrange, type Arrangement } from './arrangement';

/** An Arrangement on a Worker of its own, new for each test of the file that imports it. */
export let objects: Arrangement;

beforeEach(async () => {
  objects = await arrange();
});

afterEach(() => objects.worker.close());
