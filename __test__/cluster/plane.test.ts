import { EventEmitter } from 'node:events';

import { DataPlane } from '../../lib/cluster/DataPlane';
import type { Pipe } from '../../lib/cluster/types';

// The parts of the data plane that need neither a network nor time.

/** The DataProducers of the gateway that came through the pipe, by id, with their streams. */
let onGateway: Map<string, number>;
/** Resolves once DataConsumers have what has come. */
let drained: Promise<void>;
/** Whether DataProducers close as their tunnels are made. */
let closing: boolean;
let plane: DataPlane;
let pipe: Pipe;

beforeEach(async () => {
  onGateway = new Map();
  drained = Promise.resolve();
  closing = false;
  const add = (id: string, streamId: number): { close(): void } => {
    if (onGateway.has(id)) throw new Error(`${id} already exists`);
    onGateway.set(id, streamId);
    return Object.assign(new EventEmitter(), {
      observer: new EventEmitter(),
      closed: false,
      close: () => onGateway.delete(id),
    });
  };
  const transport = Object.assign(new EventEmitter(), {
    observer: new EventEmitter(),
    tuple: {},
    produceData: async ({ id, sctpStreamParameters }: any) =>
      add(id, sctpStreamParameters.streamId),
    consumeData: async () => Object.assign(new EventEmitter(), { observer: new EventEmitter() }),
    getStats: async () => [{}],
  });
  const stats = { messagesReceived: 0, messagesPaused: 0 };
  const router = {
    pipeToRouter: async ({ dataProducerId }: { dataProducerId: string }) => {
      const made = add(dataProducerId, -1);
      const pipeDataProducer = Object.assign(made, { getStats: async () => [stats] });
      const getStats = async (): Promise<unknown> => {
        if (closing) Object.assign(made, { closed: onGateway.delete(dataProducerId) });
        return [stats];
      };
      return { pipeDataProducer, pipeDataConsumer: { ...made, getStats } };
    },
  };
  plane = new DataPlane({
    gateway: { createPipeTransport: async () => transport } as any,
    listenInfo: { protocol: 'udp', ip: '' },
    lease: 2000,
    clock: { now: () => 0, after: () => () => {} },
    find: (id) => ({ router, dataProducer: { id, getStats: async () => [stats] } }) as any,
    drain: () => drained,
    openRelay: async () => Promise.reject(new Error('none')),
  });
  pipe = await new Promise<Pipe>((resolve) =>
    plane.createPipe('pipe', (_, made) => resolve(made!)),
  );
});

/** The stream that an id comes on. */
function take(id: string): Promise<number | undefined> {
  const entry = { id, label: '', protocol: '', info: 'null', ordered: true };
  return new Promise((resolve) => pipe.take(entry, (_, taken) => resolve(taken?.streamId)));
}

function carry(id: string): Promise<number | null | undefined> {
  return new Promise((resolve, reject) =>
    pipe.carry(id, true, 1, false, (error, at) => (error ? reject(error) : resolve(at))),
  );
}

test('a pipe has each stream once: those in use are passed over, also after 65,535', async () => {
  const taken = await Promise.all(Array.from({ length: 65_535 }, (_, number) => take(`${number}`)));
  expect(new Set(taken).size).toBe(65_535);
  expect(await take('one too many')).toBe(undefined);
  plane.untake('7');
  await new Promise(setImmediate);
  expect(await take('7')).toBe(taken[7]);
});

test('an id that came from another host has left the gateway before the own one comes to it', async () => {
  await take('id');
  let drain = (): void => {};
  drained = new Promise((resolve) => (drain = resolve));
  plane.untake('id');
  const carrying = carry('id');
  await new Promise(setImmediate);
  expect(onGateway.get('id')).toBeGreaterThanOrEqual(0);
  drain();
  expect(await carrying).toBe(0);
  expect(onGateway.get('id')).toBe(-1);
});

test('a DataProducer that closes as its tunnel is made leaves no tunnel to the next one of its id', async () => {
  closing = true;
  expect((await plane.tunnel('id'))!.dataProducer.closed).toBe(true);
  closing = false;
  expect((await plane.tunnel('id'))!.dataProducer.closed).toBe(false);
});
