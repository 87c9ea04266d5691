import type { types } from '..';
import './helpers/closeWorkers';
import { router, router2 } from './helpers/twoRouters';
import { nextMacrotask } from './helpers/wait';

/**
 * Calls of one macrotask see the same instant, whatever arrives from another thread meanwhile. Applications that count
 * messages rely on it.
 */

const ROUNDS = 25;
const BURST = 1_000;

let source: types.DataProducer;
let piped: types.DataProducer;
let transport: types.DirectTransport;

async function received(): Promise<number> {
  const [stats] = await piped.getStats();
  return stats!.messagesReceived;
}

beforeEach(async () => {
  source = await (await router.createDirectTransport()).produceData();
  transport = await router2.createDirectTransport();
  const result = await router.pipeToRouter({ dataProducerId: source.id, router: router2 });
  piped = result.pipeDataProducer!;
});

test('consumeData() and getStats() of its DataProducer: the DataConsumer gets exactly what the statistics do not count', async () => {
  let sent = 0;
  let between = 0;
  for (let round = 0; round < ROUNDS; round++) {
    for (let n = 0; n < BURST; n++) {
      source.send('x');
    }
    sent += BURST;
    // Only some of the messages have arrived by then.
    await nextMacrotask();
    const [dataConsumer, [stats]] = await Promise.all([
      transport.consumeData({ dataProducerId: piped.id }),
      piped.getStats(),
    ]);
    const at = stats!.messagesReceived;
    while ((await received()) < sent) {
      await nextMacrotask();
    }
    const [final] = await dataConsumer.closeWithStats();
    expect(final!.messagesSent).toBe(sent - at);
    between += Number(at > sent - BURST && at < sent);
  }
  expect(between).toBeGreaterThan(0);
}, 60_000);
