import type { types } from '..';
import * as datasoup from '..';
import { arrange } from './helpers/arrangement';
import './helpers/closeWorkers';
import { runNode } from './helpers/process';

/** Mistakes that are easy to make and hard to see. */

const PRELUDE = `
  process.on('unhandledRejection', (error) => console.log('unhandled: ' + error.message));
  const made = (async () => {
    const worker = await datasoup.createWorker();
    const router = await worker.createRouter();
    const directTransport = await router.createDirectTransport();
    const transport = await router.createWebRtcTransport({
      listenInfos: [{ protocol: 'udp', ip: '127.0.0.1' }],
      enableSctp: true,
      sctpSendBufferSize: 10,
      maxSendMessageSize: 100,
    });
    const dataProducer = await directTransport.produceData();
    const dataConsumer = await transport.consumeData({ dataProducerId: dataProducer.id });
    const direct = await directTransport.consumeData({ dataProducerId: dataProducer.id });
    return { worker, router, directTransport, transport, dataProducer, dataConsumer, direct };
  })();
`;

describe('a call without await', () => {
  test.each([
    ['after its transport closed', 'transport.close()'],
    ['after its DataProducer closed', 'dataProducer.close()'],
    ['after its Worker closed', 'worker.close()'],
    ['while its DataConsumer is paused', 'await dataConsumer.pause()'],
    ['while its queue is full', "await dataConsumer.send('more than ten bytes')"],
  ])(
    'dataConsumer.send() %s causes no unhandled rejection, and with await rejects',
    async (_title, before) => {
      const { stdout, stderr, code } = await runNode(`${PRELUDE}
      made.then(async ({ worker, transport, dataProducer, dataConsumer }) => {
        ${before};
        dataConsumer.send('x');
        await dataConsumer.send('x').catch(() => console.log('caught'));
        setTimeout(() => worker.close(), 100);
      });`);
      expect([stdout, stderr, code]).toEqual(['caught\n', '', 0]);
    },
  );

  test('any of them after the transport closed causes no unhandled rejection, and with await rejects', async () => {
    const { stdout, stderr, code } = await runNode(`${PRELUDE}
      made.then(async ({ worker, transport, directTransport, dataProducer, dataConsumer }) => {
        const calls = [
          () => dataConsumer.send('x'),
          () => dataConsumer.pause(),
          () => dataConsumer.resume(),
          () => dataConsumer.setSubchannels([1]),
          () => dataConsumer.addSubchannel(1),
          () => dataConsumer.removeSubchannel(1),
          () => dataConsumer.setBufferedAmountLowThreshold(1),
          () => dataConsumer.setOverflow('drop-oldest'),
          () => dataProducer.pause(),
          () => dataProducer.resume(),
          () => dataProducer.clearRetained(),
          () => dataProducer.setLimit(),
        ];
        transport.close();
        directTransport.close();
        for (const call of calls) call();
        for (const call of calls) await call().catch(() => console.log('caught'));
        setTimeout(() => worker.close(), 100);
      });`);
    expect([stdout, stderr, code]).toEqual(['caught\n'.repeat(12), '', 0]);
  });

  test.each([
    ['a message of the wrong type', 'dataConsumer.send(5)', 'message must be a string, Buffer'],
    ['a message over maxSendMessageSize', "dataConsumer.send('x'.repeat(101))", 'message of 101'],
    ['a subchannel out of range', 'dataConsumer.addSubchannel(-1)', 'subchannel must be'],
    ['a DataConsumer of type direct', "direct.send('x')", "needs a DataConsumer of type 'sctp'"],
  ])('with %s is an unhandled rejection', async (_title, call, text) => {
    const { stdout } = await runNode(`${PRELUDE}
      made.then(({ worker, dataConsumer, direct }) => {
        ${call};
        setTimeout(() => worker.close(), 100);
      });`);
    expect(stdout).toContain('unhandled: ');
    expect(stdout).toContain(text);
  });

  test('enhancedOnce() with something else than an emitter, caught, leaves no unhandled rejection', async () => {
    const { stdout, stderr, code } = await runNode(`${PRELUDE}
      made.then(async ({ worker }) => {
        const { enhancedOnce } = datasoup.extras;
        for (const wrong of [undefined, {}]) {
          await enhancedOnce(wrong, 'x').catch(() => console.log('caught'));
        }
        setTimeout(() => worker.close(), 100);
      });`);
    expect([stdout, stderr, code]).toEqual(['caught\n'.repeat(2), '', 0]);
  });

  test('an error of an awaited send() has the stack of the call', async () => {
    const { worker, dataConsumerSctp } = await arrange();
    dataConsumerSctp.close();
    const error = await sendFrom(dataConsumerSctp).catch((it: Error) => it);
    expect((error as Error).stack).toContain('sendFrom');
    worker.close();
  });

  async function sendFrom(dataConsumer: types.DataConsumer): Promise<number> {
    return await dataConsumer.send('x');
  }
});

describe("a 'message' listener", () => {
  /** The warnings of a process that adds listeners by `calls`. */
  async function warningsOf(calls: string): Promise<string[]> {
    const { stderr } = await runNode(`${PRELUDE}
      const { once } = require('node:events');
      const { enhancedOnce } = datasoup.extras;
      const nothing = () => {};
      made.then(({ worker, router, dataProducer, dataConsumer, direct }) => {
        ${calls};
        setTimeout(() => worker.close(), 10);
      });`);
    return stderr.split('\n').filter((line) => line.includes('DatasoupWarning'));
  }

  const ADVICE = 'directTransport.consumeData({ dataProducerId })';

  test.each(['on', 'addListener', 'once', 'prependListener', 'prependOnceListener'])(
    'added by %s() to a DataProducer and an SCTP DataConsumer: one warning each',
    async (add) => {
      const warnings = await warningsOf(`
      for (let round = 0; round < 2; round++) {
        dataProducer.${add}('message', nothing);
        dataConsumer.${add}('message', nothing);
      }`);
      expect(warnings).toEqual([
        expect.stringContaining(`on a DataProducer, which emits no 'message'`),
        expect.stringContaining(`on a DataConsumer of type 'sctp', which emits no 'message'`),
      ]);
      expect(warnings.every((line) => line.includes(ADVICE))).toBe(true);
    },
  );

  test.each([
    "once(dataProducer, 'message')",
    "enhancedOnce(dataProducer, 'message')",
    "new Proxy(dataProducer, {}).on('message', nothing)",
  ])('added by %s: a warning', async (call) => {
    expect(await warningsOf(call)).toHaveLength(1);
  });

  test('of a DataConsumer of type direct, or for other events: no warning', async () => {
    const calls = `
      direct.on('message', nothing);
      router.on('message', nothing);
      dataProducer.on('transportclose', nothing);
      dataConsumer.observer.on('close', nothing);
      Object.create(dataProducer).on('message', nothing)`;
    expect(await warningsOf(calls)).toEqual([]);
  });
});

describe('the errors of closed objects begin with which object is closed', () => {
  test.each<[string, string, (objects: Awaited<ReturnType<typeof arrange>>) => unknown]>([
    ['Router', 'router', ({ router }) => router.dump()],
    ['WebRtcTransport', 'router', ({ webRtcTransport }) => webRtcTransport.dump()],
    ['DirectTransport', 'router', ({ directTransport }) => directTransport.produceData()],
    ['DataProducer', 'router', ({ dataProducerSctp }) => dataProducerSctp.pause()],
    ['DataConsumer', 'router', ({ dataConsumerSctp }) => dataConsumerSctp.send('x')],
    ['DataConsumer', 'router', ({ dataConsumerDirect }) => dataConsumerDirect.send('x')],
    ['Worker', 'worker', ({ worker }) => worker.dump()],
    ['Worker', 'worker', ({ dataConsumerSctp }) => dataConsumerSctp.send('x')],
    ['Worker', 'worker', async ({ dataProducerDirect }) => dataProducerDirect.send('x')],
  ])('the %s is closed, after %s.close()', async (name, closing, call) => {
    const objects = await arrange();
    objects[closing as 'router' | 'worker'].close();
    const error = (await (call(objects) as Promise<unknown>).catch((it: Error) => it)) as Error;
    expect(error.name).toBe(name === 'Worker' ? 'WorkerClosedError' : 'NotFoundError');
    expect(error.message).toMatch(new RegExp(`^the ${name} is closed \\(Channel .*\\)$`));
    objects.worker.close();
  });

  test('also of those that were open when the call began', async () => {
    const { worker, router, directTransport, dataProducerDirect } = await arrange();
    const pending = directTransport.consumeData({ dataProducerId: dataProducerDirect.id });
    router.close();
    await expect(pending).rejects.toThrow(/^the (DirectTransport|Transport) is closed/);
    const dump = worker.dump();
    worker.close();
    await expect(dump).rejects.toThrow(
      'the Worker is closed (Channel closed, request aborted [method:WORKER_DUMP])',
    );
  });

  test('a WebRtcServer that is closed, or that belongs to another Worker', async () => {
    const { worker, router } = await arrange();
    const listenInfos: types.TransportListenInfo[] = [{ protocol: 'udp', ip: '127.0.0.1' }];
    const other = await datasoup.createWorker();
    const foreign = await other.createWebRtcServer({ listenInfos });
    await expect(router.createWebRtcTransport({ webRtcServer: foreign })).rejects.toThrow(
      'the WebRtcServer belongs to another Worker',
    );
    const closing = await worker.createWebRtcServer({ listenInfos });
    const pending = router.createWebRtcTransport({ webRtcServer: closing });
    closing.close();
    await expect(pending).rejects.toThrow('the WebRtcServer is closed');
    await expect(router.createWebRtcTransport({ webRtcServer: closing })).rejects.toThrow(
      'the WebRtcServer is closed',
    );
    other.close();
    worker.close();
  });
});
