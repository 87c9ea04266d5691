import type { types } from '..';
import './helpers/closeWorkers';
import { router, router2 } from './helpers/twoRouters';
import { nextEvent, nextMacrotask } from './helpers/wait';

let transport: types.DirectTransport;
let source: types.DataProducer;
let emitted: types.DataProducerDemand[];

beforeEach(async () => {
  transport = await router.createDirectTransport();
  source = await transport.produceData();
  emitted = [];
});

function record(): void {
  source.on('demand', (demand) => emitted.push(demand));
}

/** The events since the last call, including those for changes of this macrotask. */
async function taken(): Promise<types.DataProducerDemand[]> {
  await nextMacrotask();
  return emitted.splice(0);
}

function consume(...subchannels: number[]): Promise<types.DataConsumer> {
  return transport.consumeData({ dataProducerId: source.id, subchannels });
}

test('dataProducer.demand shows the present DataConsumers, even without a listener', async () => {
  expect(source.demand).toEqual({ consumers: 0, subchannels: [] });
  const one = await consume(7, 3);
  await consume(3, 65_535);
  expect(source.demand).toEqual({ consumers: 2, subchannels: [3, 7, 65_535] });
  one.close();
  expect(source.demand).toEqual({ consumers: 1, subchannels: [3, 65_535] });
  source.demand.subchannels.push(1);
  expect(source.demand.subchannels).toEqual([3, 65_535]);
});

test("'demand' when DataConsumers come and go, or the union of their subchannels changes", async () => {
  const before = await consume(5);
  record();
  expect(await taken()).toEqual([]);
  const one = await consume(1, 2);
  expect(await taken()).toEqual([{ consumers: 2, subchannels: [1, 2, 5] }]);
  await one.addSubchannel(5);
  await one.addSubchannel(2);
  await one.removeSubchannel(9);
  expect(await taken()).toEqual([]);
  await one.setSubchannels([2, 8]);
  expect(await taken()).toEqual([{ consumers: 2, subchannels: [2, 5, 8] }]);
  await one.removeSubchannel(8);
  await one.addSubchannel(0);
  expect(await taken()).toEqual([
    { consumers: 2, subchannels: [2, 5] },
    { consumers: 2, subchannels: [0, 2, 5] },
  ]);
  before.close();
  one.close();
  expect(await taken()).toEqual([{ consumers: 0, subchannels: [] }]);
});

test("'demand' counts those that the worker or a transport closes, and those of pipeToRouter()", async () => {
  record();
  const other = await router.createDirectTransport();
  await other.consumeData({ dataProducerId: source.id, subchannels: [4] });
  const { pipeDataConsumer } = await router.pipeToRouter({
    dataProducerId: source.id,
    router: router2,
  });
  expect((await taken()).at(-1)).toEqual({ consumers: 2, subchannels: [4] });
  other.close();
  expect(await taken()).toEqual([{ consumers: 1, subchannels: [] }]);
  pipeDataConsumer!.close();
  expect(await taken()).toEqual([{ consumers: 0, subchannels: [] }]);
  // No client connects, so the first message stays in the queue.
  const webRtcTransport = await router.createWebRtcTransport({
    listenIps: ['127.0.0.1'],
    enableSctp: true,
  });
  const full = await webRtcTransport.consumeData({
    dataProducerId: source.id,
    overflow: 'close',
    maxBufferedAmount: 0,
  });
  expect(await taken()).toEqual([{ consumers: 1, subchannels: [] }]);
  const closed = nextEvent(full, 'close');
  source.send('fills the queue');
  source.send('finds it full');
  await closed;
  expect(await taken()).toEqual([{ consumers: 0, subchannels: [] }]);
});

test("changes of one synchronous run are one 'demand'; a change that is undone emits none", async () => {
  record();
  const all = await Promise.all([consume(1), consume(2), consume(3)]);
  expect((await taken()).at(-1)).toEqual({ consumers: 3, subchannels: [1, 2, 3] });
  all.forEach((each) => each.close());
  expect(await taken()).toEqual([{ consumers: 0, subchannels: [] }]);
});

test("no 'demand' once the DataProducer is closed", async () => {
  const dataConsumer = await consume(1);
  record();
  source.close();
  await nextEvent(dataConsumer, 'close');
  expect(await taken()).toEqual([]);
  expect(source.demand).toEqual({ consumers: 0, subchannels: [] });
});
