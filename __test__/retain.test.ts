import * as datasoup from '..';
import type { types } from '..';
import './helpers/closeWorkers';
import { NOT_OBJECTS, titled } from './helpers/arguments';
import { Inbox } from './helpers/Inbox';
import { router, router2 } from './helpers/twoRouters';
import { nextMacrotask } from './helpers/wait';
import { Random } from '../robustness/random';

const { NotFoundError } = datasoup.errors;

let transport: types.DirectTransport;

beforeEach(async () => {
  transport = await router.createDirectTransport();
});

async function join(
  dataProducer: types.DataProducer,
  on: types.DirectTransport = transport,
  options: object = {},
): Promise<{ dataConsumer: types.DataConsumer; inbox: Inbox }> {
  const dataConsumer = await on.consumeData({ dataProducerId: dataProducer.id, ...options });
  return { dataConsumer, inbox: new Inbox(dataConsumer) };
}

function send(dataProducer: types.DataProducer, from: number, to: number): void {
  for (let n = from; n < to; n++) {
    dataProducer.send(String(n));
  }
}

describe('produceData({ retain })', () => {
  test.each(
    titled<object>([
      ...NOT_OBJECTS.map((retain) => ({ retain })),
      { retain: {} },
      ...[0, -1, 1.5, NaN, '1', 65_536, null].map((messages) => ({ retain: { messages } })),
      ...[0, -1, 1.5, '1', 2 ** 32].flatMap((value) => [
        { retain: { messages: 1, bytes: value } },
        { retain: { messages: 1, maxAge: value } },
      ]),
    ]),
  )(
    'produceData(%s) rejects with a TypeError that names option, value and range',
    async (_title, options) => {
      const made = transport.produceData(options as types.DataProducerOptions);
      await expect(made).rejects.toThrow(TypeError);
      await expect(made).rejects.toThrow(
        /^retain must be an object \(got|^retain\.(messages must be an integer from 1 to 65535|(bytes|maxAge) must be an integer from 1 to 4294967295) \(got/,
      );
    },
  );

  test('the getter returns a copy, with the defaults', async () => {
    const dataProducer = await transport.produceData({ retain: { messages: 7 } });
    const { retain } = dataProducer;
    expect(retain).toEqual({ messages: 7, bytes: 1_048_576 });
    retain!.messages = 8;
    expect(dataProducer.retain!.messages).toBe(7);
    expect((await transport.produceData()).retain).toBeUndefined();
  });

  test('getStats() shows what is retained', async () => {
    const dataProducer = await transport.produceData({ retain: { messages: 3 } });
    ['a', 'bb', 'ccc', 'dddd'].forEach((text) => dataProducer.send(text));
    const [stat] = await dataProducer.getStats();
    expect(stat).toMatchObject({ messagesReceived: 4, messagesRetained: 3, bytesRetained: 9 });
  });

  test('messages that were sent before an un-awaited consumeData() come first, then the others', async () => {
    const dataProducer = await transport.produceData({ retain: { messages: 3 } });
    send(dataProducer, 0, 5);
    const joining = join(dataProducer);
    send(dataProducer, 5, 10);
    const { inbox } = await joining;
    await inbox.count(8);
    await dataProducer.getStats();
    expect(inbox.texts).toEqual(['2', '3', '4', '5', '6', '7', '8', '9']);
  });

  test('a DataConsumer that is created paused gets them at its first resume()', async () => {
    const dataProducer = await transport.produceData({ retain: { messages: 3 } });
    send(dataProducer, 0, 5);
    const { dataConsumer, inbox } = await join(dataProducer, transport, { paused: true });
    send(dataProducer, 5, 10);
    void dataConsumer.resume();
    send(dataProducer, 10, 12);
    await dataConsumer.pause();
    await dataConsumer.resume();
    send(dataProducer, 12, 13);
    await inbox.count(6);
    expect(inbox.texts).toEqual(['7', '8', '9', '10', '11', '12']);
  });
});

describe('dataProducer.clearRetained()', () => {
  test('keeps its place among the messages', async () => {
    const dataProducer = await transport.produceData({ retain: { messages: 3 } });
    send(dataProducer, 0, 2);
    const cleared = dataProducer.clearRetained();
    send(dataProducer, 2, 4);
    await expect(cleared).resolves.toBeUndefined();
    const { inbox } = await join(dataProducer);
    await inbox.count(2);
    expect(inbox.texts).toEqual(['2', '3']);
  });

  test('resolves without `retain`, and rejects once the DataProducer is closed', async () => {
    const dataProducer = await transport.produceData();
    await expect(dataProducer.clearRetained()).resolves.toBeUndefined();
    dataProducer.close();
    await expect(dataProducer.clearRetained()).rejects.toThrow(NotFoundError);
  });
});

describe('a retaining DataProducer behind pipeToRouter()', () => {
  let far: types.DirectTransport;

  beforeEach(async () => {
    far = await router2.createDirectTransport();
  });

  test('retains as the original does, also over a pair that is in use', async () => {
    for (const messages of [2, 3]) {
      const dataProducer = await transport.produceData({ retain: { messages, maxAge: 60_000 } });
      send(dataProducer, 0, 5);
      const piping = router.pipeToRouter({ dataProducerId: dataProducer.id, router: router2 });
      send(dataProducer, 5, 8);
      const { pipeDataConsumer, pipeDataProducer } = await piping;
      expect(pipeDataConsumer).toMatchObject({ paused: false });
      expect(pipeDataProducer!.retain).toEqual(dataProducer.retain);
      send(dataProducer, 8, 10);
      await dataProducer.getStats();
      const { inbox } = await join(pipeDataProducer!, far);
      send(dataProducer, 10, 11);
      await inbox.count(messages + 1);
      expect(inbox.texts).toEqual(['7', '8', '9', '10'].slice(-messages - 1));
    }
  });

  test('carries all messages, whatever the pipeDataConsumer is subscribed to', async () => {
    const dataProducer = await transport.produceData({ retain: { messages: 9 } });
    const { pipeDataConsumer, pipeDataProducer } = await router.pipeToRouter({
      dataProducerId: dataProducer.id,
      router: router2,
    });
    await pipeDataConsumer!.setSubchannels([9]);
    [1, 2].forEach((subchannel) => dataProducer.send(String(subchannel), undefined, [subchannel]));
    await dataProducer.getStats();
    const { inbox } = await join(pipeDataProducer!, far, { subchannels: [2] });
    await inbox.count(1);
    expect(inbox.texts).toEqual(['2']);
  });

  test('clearRetained() of the original clears it as well', async () => {
    const dataProducer = await transport.produceData({ retain: { messages: 9 } });
    send(dataProducer, 0, 2);
    const { pipeDataProducer } = await router.pipeToRouter({
      dataProducerId: dataProducer.id,
      router: router2,
    });
    await dataProducer.clearRetained();
    send(dataProducer, 2, 3);
    await dataProducer.getStats();
    const { inbox } = await join(pipeDataProducer!, far);
    await inbox.count(1);
    expect(inbox.texts).toEqual(['2']);
  });

  test('a pipeDataConsumer that the application pauses during the call starts with its resume()', async () => {
    const dataProducer = await transport.produceData({ retain: { messages: 2 } });
    send(dataProducer, 0, 2);
    router.observer.on('newtransport', (pipe) =>
      pipe.observer.on('newdataconsumer', (dataConsumer) => void dataConsumer.pause()),
    );
    const { pipeDataConsumer, pipeDataProducer } = await router.pipeToRouter({
      dataProducerId: dataProducer.id,
      router: router2,
    });
    const { inbox } = await join(pipeDataProducer!, far);
    expect(pipeDataConsumer!.paused).toBe(true);
    send(dataProducer, 2, 3);
    await pipeDataConsumer!.resume();
    await inbox.count(2);
    expect(inbox.texts).toEqual(['1', '2']);
  });
});

describe('100 DataConsumers that join a stream of 10,000 messages at random times', () => {
  const MESSAGES = 10_000;
  const RETAINED = 50;

  test.each([
    ['on its Router', false],
    ['behind a pipe', true],
  ])('%s: each gets the last 50 and all that follow, once and in order', async (_title, piped) => {
    const dataProducer = await transport.produceData({ retain: { messages: RETAINED } });
    let source = dataProducer;
    let on = transport;
    if (piped) {
      const options = { dataProducerId: dataProducer.id, router: router2 };
      source = (await router.pipeToRouter(options)).pipeDataProducer!;
      on = await router2.createDirectTransport();
    }
    const random = new Random(1);
    const times = Array.from({ length: 100 }, () => random.below(MESSAGES));
    const joining: Promise<{ before: number; after: number; inbox: Inbox }>[] = [];
    let sent = 0;
    for (let n = 0; n < MESSAGES; n++) {
      for (const _ of times.filter((time) => time === n)) {
        joining.push(join(source, on).then(({ inbox }) => ({ before: n, after: sent, inbox })));
      }
      dataProducer.send(String(n));
      sent++;
      if (n % 25 === 24) {
        await nextMacrotask();
      }
    }
    const joined = await Promise.all(joining);
    // The last message shows each DataConsumer that it has got all.
    dataProducer.send('end');
    for (const { before, after, inbox } of joined) {
      await inbox.count(1);
      while (inbox.texts.at(-1) !== 'end') {
        await inbox.count(inbox.messages.length + 1);
      }
      const numbers = inbox.texts.slice(0, -1).map(Number);
      const first = numbers[0]!;
      const expected = Array.from({ length: MESSAGES - first }, (_, index) => first + index);
      expect(numbers).toEqual(expected);
      // Behind the pipe, what is sent on the other Worker during the call may come before or after it, so that there is
      // no lower bound here; tests/sfu/retain.rs has both.
      if (piped) {
        expect(first).toBeLessThanOrEqual(Math.max(after - RETAINED, 0));
      } else {
        expect(first).toBe(Math.max(before - RETAINED, 0));
      }
    }
  });
});
