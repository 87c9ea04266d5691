import type { types } from '..';
import './helpers/closeWorkers';
import { titled } from './helpers/arguments';
import { Inbox } from './helpers/Inbox';
import { objects } from './helpers/objects';
import { peers } from './helpers/peers';
import { nextEvent } from './helpers/wait';

const range = (from: number, to: number): string[] =>
  Array.from({ length: to - from }, (_, index) => String(from + index));

/** A direct DataProducer that holds, and what its DataConsumer gets. */
async function direct(
  options: Partial<types.DataProducerOptions> = {},
): Promise<{ dataProducer: types.DataProducer; inbox: Inbox }> {
  const { directTransport } = objects;
  const dataProducer = await directTransport.produceData({ whilePaused: 'hold', ...options });
  const inbox = new Inbox(await directTransport.consumeData({ dataProducerId: dataProducer.id }));
  return { dataProducer, inbox };
}

function send(dataProducer: types.DataProducer, from: number, to: number): void {
  range(from, to).forEach((text) => dataProducer.send(text));
}

describe("produceData({ whilePaused: 'hold' })", () => {
  test.each(titled<object>(['keep', '', 1, true, {}].map((whilePaused) => ({ whilePaused }))))(
    'produceData(%s) rejects with a TypeError that names the choices',
    async (_title, options) => {
      const made = objects.directTransport.produceData(options as types.DataProducerOptions);
      await expect(made).rejects.toThrow(TypeError);
      await expect(made).rejects.toThrow(/whilePaused must be one of 'drop', 'hold'/);
    },
  );

  test("the getter shows it; the default is 'drop'", async () => {
    expect((await direct()).dataProducer.whilePaused).toBe('hold');
    expect(objects.dataProducerDirect.whilePaused).toBe('drop');
    expect(
      (await objects.directTransport.produceData({ whilePaused: null } as any)).whilePaused,
    ).toBe('drop');
  });

  test('what is sent during a pause comes at resume(), before what is sent later', async () => {
    const { dataProducer, inbox } = await direct({ paused: true });
    send(dataProducer, 0, 100);
    void dataProducer.resume();
    send(dataProducer, 100, 200);
    void dataProducer.pause();
    send(dataProducer, 200, 300);
    const [stat] = await dataProducer.getStats();
    expect(stat).toMatchObject({ messagesReceived: 300, messagesWaiting: 100, messagesPaused: 0 });
    expect(dataProducer.bufferedAmount).toBe(300);
    expect(inbox.texts).toEqual(range(0, 200));
    void dataProducer.resume();
    send(dataProducer, 300, 301);
    await inbox.count(301);
    expect(inbox.texts).toEqual(range(0, 301));
    expect(dataProducer.bufferedAmount).toBe(0);
  });

  test("at maxBufferedAmount send() throws ERR_SEND_QUEUE_FULL, and 'drain' follows the resume()", async () => {
    const { dataProducer, inbox } = await direct({ paused: true, maxBufferedAmount: 1000 });
    const accepted = 15;
    send(dataProducer, 0, accepted);
    await dataProducer.getStats();
    expect(() => dataProducer.send('more')).toThrow(
      expect.objectContaining({ code: 'ERR_SEND_QUEUE_FULL' }),
    );
    const drained = nextEvent(dataProducer, 'drain');
    await dataProducer.resume();
    await drained;
    expect((await inbox.count(accepted)).map(({ text }) => text)).toEqual(range(0, accepted));
  });

  test('close() drops what is held, and the Worker counts it', async () => {
    const { dataProducer } = await direct({ paused: true });
    send(dataProducer, 0, 5);
    await dataProducer.getStats();
    dataProducer.close();
    expect(await objects.worker.dump()).toMatchObject({ messagesDroppedAtClose: 5 });
    expect(dataProducer.bufferedAmount).toBe(0);
  });

  test('a client’s messages wait for resume(), those beyond the bound are dropped and counted', async () => {
    const { webRtcTransport, directTransport } = objects;
    const dataProducer = await webRtcTransport.produceData({
      sctpStreamParameters: { streamId: 4 },
      paused: true,
      whilePaused: 'hold',
      maxBufferedAmount: 30 * (64 + 100),
    });
    const dataProducerId = dataProducer.id;
    const inbox = new Inbox(await directTransport.consumeData({ dataProducerId }));
    const peer = await peers.connect(webRtcTransport, { channels: [{ id: 4 }] });
    await peer.sendNumbered(4, 50, 100);
    let stat: types.DataProducerStat;
    do {
      [stat] = (await dataProducer.getStats()) as [types.DataProducerStat];
    } while (stat.messagesReceived < 50);
    expect(stat).toMatchObject({ messagesWaiting: 30, messagesDroppedFull: 20, messagesPaused: 0 });
    expect(dataProducer.bufferedAmount).toBe(3000);
    await dataProducer.resume();
    await peer.send(4, 'later');
    await inbox.count(31);
    expect(inbox.buffers.slice(0, 30).map((message) => message.readUInt32BE(0))).toEqual(
      range(0, 30).map(Number),
    );
    expect(inbox.texts[30]).toBe('later');
  });
});
