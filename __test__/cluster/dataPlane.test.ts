import * as datasoup from '../..';
import { DataPlane } from '../../lib/cluster/DataPlane';
import { coreOf } from '../../lib/Entity';
import '../helpers/closeWorkers';

// The counters of the data plane, by which 'missed' is reckoned.

test('a tunnel begins with the first message that it carries', async () => {
  const [worker, other] = [await datasoup.createWorker(), await datasoup.createWorker()];
  const router = await worker.createRouter();
  const gateway = await other.createRouter();
  const transport = await router.createDirectTransport();
  const dataProducer = await transport.produceData();
  const plane = new DataPlane({
    gateway: gateway as any,
    listenInfo: { protocol: 'udp', ip: '127.0.0.1' },
    lease: 5000,
    clock: { now: () => performance.now(), after: () => () => {} },
    find: () => ({ router, dataProducer }) as any,
    drain: async () => {},
    openRelay: () => Promise.reject(new Error('not used')),
  });
  dataProducer.send('before');
  router.observer.once('newtransport', (pipe) => {
    pipe.observer.on('newdataconsumer', (made) => {
      const { native } = coreOf(made as any) as any;
      const { start } = native;
      native.start = (id: number) => {
        // This message comes before the tunnel can carry it.
        dataProducer.send('between');
        start.call(native, id);
      };
    });
  });
  const { before, dataProducer: carried } = (await plane.tunnel(dataProducer.id))!;
  dataProducer.send('after');
  const [{ messagesReceived }] = await dataProducer.getStats();
  let arrived = 0;
  while (arrived === 0) [{ messagesReceived: arrived }] = await carried.getStats();
  expect(before + arrived).toBe(messagesReceived);
  worker.close();
  other.close();
});
