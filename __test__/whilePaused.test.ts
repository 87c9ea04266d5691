import type { types } from '..';
import './helpers/closeWorkers';
import { titled } from './helpers/arguments';
import { Inbox } from './helpers/Inbox';
import { objects } from './helpers/objects';
import { peers } from './helpers/peers';
import { nextEvent } from './helpers/wait';

const range = (from: number, to: number): string[] =>
  Array.from({ length: to - from }, (_, index) => String(from + index));

/** A direct DataProducer that holds messages, and what its DataConsumer gets. */
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

  test('messages sent during a pause come at resume(), before later ones', async () => {
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

  test('close() drops held messages, and the Worker counts them', async () => {
    const { dataProducer } = await direct({ paused: true });
    send(dataProducer, 0, 5);
    await dataProducer.getStats();
    dataProducer.close();
    expect(await objects.worker.dump()).toMatchObject({ messagesDroppedAtClose: 5 });
    expect(dataProducer.bufferedAmount).toBe(0);
  });

  test('messages of a client wait for resume(); those beyond the bound are dropped and counted', async () => {
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

describe("consumeData({ whilePaused: 'hold' })", () => {
  /** A DataProducer, and what a DataConsumer that holds messages gets. */
  async function held(
    options: object = {},
  ): Promise<{ source: types.DataProducer; dataConsumer: types.DataConsumer; inbox: Inbox }> {
    const { directTransport } = objects;
    const source = await directTransport.produceData();
    const dataConsumer = await directTransport.consumeData({
      dataProducerId: source.id,
      whilePaused: 'hold',
      ...options,
    });
    return { source, dataConsumer, inbox: new Inbox(dataConsumer) };
  }

  test.each(titled<object>(['keep', '', 1, true, {}].map((whilePaused) => ({ whilePaused }))))(
    'consumeData(%s) rejects with a TypeError that names the choices',
    async (_title, options) => {
      const made = held(options);
      await expect(made).rejects.toThrow(TypeError);
      await expect(made).rejects.toThrow(/whilePaused must be one of 'drop', 'hold'/);
    },
  );

  test("the getter shows it; the default is 'drop'", async () => {
    expect((await held()).dataConsumer.whilePaused).toBe('hold');
    expect(objects.dataConsumerDirect.whilePaused).toBe('drop');
  });

  test('messages that come during a pause are delivered at resume(), before later ones', async () => {
    const { source, dataConsumer, inbox } = await held({ paused: true });
    send(source, 0, 100);
    const [stat] = await dataConsumer.getStats();
    expect(stat).toMatchObject({ messagesSent: 0, messagesWaiting: 100, messagesPaused: 0 });
    expect(dataConsumer.bufferedAmount).toBe(range(0, 100).join('').length);
    void dataConsumer.resume();
    send(source, 100, 200);
    void dataConsumer.pause();
    send(source, 200, 300);
    await dataConsumer.getStats();
    expect(inbox.texts).toEqual(range(0, 200));
    await dataConsumer.resume();
    await inbox.count(300);
    expect(inbox.texts).toEqual(range(0, 300));
  });

  test('an iterator gets held messages', async () => {
    const { source, dataConsumer } = await held({ paused: true });
    dataConsumer.removeAllListeners('message');
    send(source, 0, 3);
    const iterator = dataConsumer[Symbol.asyncIterator]();
    const first = iterator.next();
    await dataConsumer.resume();
    const got = [await first, await iterator.next(), await iterator.next()];
    expect(got.map(({ value }) => String(value!.message))).toEqual(range(0, 3));
    await iterator.return!();
  });

  test('its policy decides which messages are held', async () => {
    const { source, dataConsumer, inbox } = await held({ paused: true, overflow: 'keep-latest' });
    send(source, 0, 10);
    expect(await dataConsumer.getStats()).toMatchObject([
      { messagesWaiting: 1, messagesDroppedReplaced: 9 },
    ]);
    await dataConsumer.resume();
    await inbox.count(1);
    expect(inbox.texts).toEqual(['9']);
  });

  test('a client gets held messages in order, and other channels continue during the pause', async () => {
    const { directTransport, webRtcTransport, dataProducerDirect } = objects;
    const source = await directTransport.produceData();
    const dataConsumer = await webRtcTransport.consumeData({
      dataProducerId: source.id,
      streamId: 4,
      whilePaused: 'hold',
    });
    const peer = await peers.connect(webRtcTransport, { channels: [{ id: 0 }, { id: 4 }] });
    source.send('before');
    await peer.untilMessages(4, 1);
    await dataConsumer.pause();
    send(source, 0, 50);
    dataProducerDirect.send('meanwhile');
    await peer.untilMessages(0, 1);
    expect(peer.messages.get(4)).toEqual(['before']);
    expect(await dataConsumer.getStats()).toMatchObject([{ messagesWaiting: 50, messagesSent: 1 }]);
    await dataConsumer.resume();
    source.send('after');
    expect(await peer.untilMessages(4, 52)).toEqual(['before', ...range(0, 50), 'after']);
  });

  test('close() while paused discards held messages', async () => {
    const { source, dataConsumer, inbox } = await held({ paused: true });
    send(source, 0, 10);
    await dataConsumer.getStats();
    dataConsumer.close();
    await source.getStats();
    expect(inbox.texts).toEqual([]);
  });

  test('drained() waits for held messages', async () => {
    const { source, dataConsumer, inbox } = await held({ paused: true });
    send(source, 0, 3);
    await expect(source.drained({ timeout: 50 })).rejects.toThrow(/not drained/);
    const drained = source.drained();
    await dataConsumer.resume();
    await drained;
    expect(inbox.texts).toEqual(range(0, 3));
  });
});
