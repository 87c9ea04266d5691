import * as datasoup from '..';
import type { types } from '..';
import './helpers/closeWorkers';
import { EventRecorder } from './helpers/EventRecorder';
import { Inbox } from './helpers/Inbox';
import { titled } from './helpers/arguments';
import { Cable } from './helpers/cable';
import { router, router2 } from './helpers/twoRouters';
import { nextEvent, untilState } from './helpers/wait';

const { NotFoundError, UnsupportedError } = datasoup.errors;

type Pipe = [near: types.PipeTransport, far: types.PipeTransport];

let cables: Cable[];
let source: types.DataProducer;
let direct: types.DirectTransport;
let pipes: [Pipe, Pipe];
let carrier: types.DataConsumer;
let remote: types.DataProducer;

beforeEach(async () => {
  cables = [];
  source = await (await router.createDirectTransport()).produceData();
  direct = await router2.createDirectTransport();
  pipes = [await pipe(), await pipe()];
  carrier = await pipes[0][0].consumeData({ dataProducerId: source.id });
  remote = await pipes[0][1].produceData({ sctpStreamParameters: carrier.sctpStreamParameters! });
});

afterEach(async () => {
  await Promise.all(cables.map((cable) => cable.close()));
});

async function pipe(): Promise<Pipe> {
  const options = { listenInfo: { protocol: 'udp', ip: '127.0.0.1' }, enableSctp: true } as const;
  const ends: Pipe = [
    await router.createPipeTransport({ ...options, enableDtls: true }),
    await router2.createPipeTransport({ ...options, enableDtls: true }),
  ];
  cables.push(await Cable.between(...ends));
  return ends;
}

/** Moves `remote` to the second pipe. */
async function move(): Promise<types.DataConsumer> {
  const next = await pipes[1][0].consumeData({ dataProducerId: source.id });
  await remote.moveTo(pipes[1][1], { sctpStreamParameters: next.sctpStreamParameters! });
  return next;
}

test('the DataProducer continues over the other pipe, and its DataConsumers stay', async () => {
  const consumer = await direct.consumeData({ dataProducerId: remote.id });
  const inbox = new Inbox(consumer);
  source.send('1');
  await inbox.count(1);
  // The path is never restored.
  cables[0]!.cut = true;
  const recorder = new EventRecorder().watch({ remote, consumer });
  const next = await move();
  expect(remote.sctpStreamParameters).toEqual(next.sctpStreamParameters);
  source.send('2');
  await inbox.count(2);
  expect(inbox.texts).toEqual(['1', '2']);
  pipes[0][1].close();
  await remote.dump();
  expect(remote.closed).toBe(false);
  source.send('3');
  await inbox.count(3);
  expect(recorder.take()).toEqual([1, 2].map(() => expect.stringMatching(/^consumer message/)));
  await expect(remote.getStats()).resolves.toMatchObject([{ messagesReceived: 3 }]);
  pipes[1][1].close();
  expect(remote.closed).toBe(true);
  expect(recorder.take()).toContain('remote transportclose');
  await direct.dump();
  expect(consumer.closed).toBe(true);
});

test("the close of the former stream emits no 'streamclose', that of the new one does", async () => {
  const recorder = new EventRecorder().watch({ remote });
  const next = await move();
  await untilState(pipes[1][1], 'sctpState', 'connected');
  carrier.close();
  next.close();
  await nextEvent(remote, 'streamclose');
  await remote.dump();
  expect(recorder.take()).toEqual(['remote streamclose']);
});

test.each(
  titled<unknown[]>([
    [],
    [undefined, { sctpStreamParameters: { streamId: 0 } }],
    [{}, { sctpStreamParameters: { streamId: 0 } }],
  ]),
)('moveTo(...%s) rejects with a TypeError', async (_title, args) => {
  await expect((remote.moveTo as any)(...args)).rejects.toThrow(TypeError);
});

test.each(
  titled<unknown>([
    undefined,
    {},
    { sctpStreamParameters: {} },
    { sctpStreamParameters: { streamId: 65_535 } },
  ]),
)('moveTo(transport, %s) rejects with a TypeError', async (_title, options) => {
  await expect(remote.moveTo(pipes[1][1], options as any)).rejects.toThrow(TypeError);
});

test('moveTo() rejects other transports and DataProducers, and changes nothing', async () => {
  const options = { sctpStreamParameters: { streamId: 3 } };
  await expect(remote.moveTo(direct as any, options)).rejects.toThrow(TypeError);
  await expect(remote.moveTo(pipes[1][0], options)).rejects.toThrow(/another Worker/);
  const local = await direct.produceData();
  await expect(local.moveTo(pipes[1][1], options)).rejects.toThrow(UnsupportedError);
  const piped = await router.pipeToRouter({ dataProducerId: source.id, router: router2 });
  await expect(piped.pipeDataProducer!.moveTo(pipes[1][1], options)).rejects.toThrow(
    UnsupportedError,
  );
  await pipes[1][1].produceData(options);
  await expect(remote.moveTo(pipes[1][1], options)).rejects.toThrow('already exists');
  expect(remote.sctpStreamParameters).toMatchObject({ streamId: 0 });
  pipes[1][1].close();
  await expect(remote.moveTo(pipes[1][1], options)).rejects.toThrow(NotFoundError);
  const inbox = new Inbox(await direct.consumeData({ dataProducerId: remote.id }));
  source.send('still here');
  await inbox.count(1);
  remote.close();
  await expect(remote.moveTo(pipes[0][1], options)).rejects.toThrow(NotFoundError);
});

test.each([0, 1])('it closes if pipe %d closes before moveTo() resolves', async (which) => {
  const options = { sctpStreamParameters: { streamId: 9 } };
  const moved = remote.moveTo(pipes[1][1], options);
  pipes[which]![1].close();
  await moved.catch(() => {});
  expect(remote.closed).toBe(true);
  const { dataProducerIds } = await (which === 0 ? pipes[1] : pipes[0])[1].dump();
  expect(dataProducerIds).toEqual([]);
});
