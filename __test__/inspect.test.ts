import { inspect } from 'node:util';
import type { types } from '..';
import { LOOPBACK } from './helpers/arrangement';
import './helpers/closeWorkers';
import { objects } from './helpers/objects';

/** What `console.log()` and `JSON.stringify()` show of an entity. */

type Shown = Record<string, unknown>;

/** Each object with the name of its class and what is shown of it. */
function expected(): [object, string, Shown][] {
  const { worker, router, webRtcTransport, directTransport } = objects;
  const { dataProducerDirect, dataProducerSctp, dataConsumerDirect, dataConsumerSctp } = objects;
  const { pid } = worker;
  const own = ({ id }: { id: string }, more: object): Shown => ({ id, ...more });
  const states = { closed: false, iceState: 'new', dtlsState: 'new', sctpState: 'new' };
  const produced = { label: '', closed: false, paused: false };
  const consumed = { ...produced, dataProducerPaused: false };
  return [
    [worker, 'Worker', { pid, closed: false, died: false, subprocessClosed: false }],
    [router, 'Router', own(router, { closed: false })],
    [webRtcTransport, 'WebRtcTransport', own(webRtcTransport, { type: 'webrtc', ...states })],
    [directTransport, 'DirectTransport', own(directTransport, { type: 'direct', closed: false })],
    [dataProducerDirect, 'DataProducer', own(dataProducerDirect, { type: 'direct', ...produced })],
    [dataProducerSctp, 'DataProducer', own(dataProducerSctp, { type: 'sctp', ...produced })],
    [
      dataConsumerDirect,
      'DataConsumer',
      own(dataConsumerDirect, {
        type: 'direct',
        dataProducerId: dataProducerSctp.id,
        ...consumed,
      }),
    ],
    [
      dataConsumerSctp,
      'DataConsumer',
      own(dataConsumerSctp, { type: 'sctp', dataProducerId: dataProducerDirect.id, ...consumed }),
    ],
  ];
}

/** Whether `text` is the class and what `inspect()` shows of an object with these members, in any order. */
function expectText(text: string, name: string, shown: Shown): void {
  expect(text.startsWith(`${name} { `)).toBe(true);
  const members = Object.entries(shown).map(([key, value]) => `${key}: ${inspect(value)}`);
  expect(
    text
      .slice(name.length + 3, -2)
      .split(', ')
      .sort(),
  ).toEqual(members.sort());
}

const ONE_LINE = { breakLength: Infinity, compact: true };

test('id, type and states of every object, also behind a Proxy', async () => {
  const { router, worker } = objects;
  const listenInfo = LOOPBACK[0]!;
  const plain = await router.createPlainTransport({ listenInfo, enableSctp: true });
  const pipe = await router.createPipeTransport({ listenInfo });
  const server = await worker.createWebRtcServer({ listenInfos: LOOPBACK });
  const all: [object, string, Shown][] = [
    ...expected(),
    [plain, 'PlainTransport', { id: plain.id, type: 'plain', closed: false, sctpState: 'new' }],
    [pipe, 'PipeTransport', { id: pipe.id, type: 'pipe', closed: false }],
    [server, 'WebRtcServer', { id: server.id, closed: false }],
  ];
  const strict: ProxyHandler<object> = {
    get: (target, name, receiver) => Reflect.get(target, name, receiver) as unknown,
  };
  const handler = { other: router };
  for (const [object, name, shown] of all) {
    for (const it of [
      object,
      new Proxy(object, handler as ProxyHandler<object>),
      new Proxy(new Proxy(object, strict), {}),
    ]) {
      expectText(inspect(it, ONE_LINE), name, shown);
      expect(JSON.parse(JSON.stringify(it))).toEqual(shown);
    }
  }
});

test('follows the states', async () => {
  const { dataConsumerSctp, dataProducerDirect } = objects;
  await dataProducerDirect.pause();
  await dataConsumerSctp.dump();
  expect(inspect(dataConsumerSctp)).toContain('dataProducerPaused: true');
  dataConsumerSctp.close();
  expect(inspect(dataConsumerSctp)).toContain('closed: true');
  expect(JSON.parse(JSON.stringify(dataConsumerSctp))).toMatchObject({ closed: true });
});

test('is short where it is deep in another object', () => {
  const { router, dataConsumerSctp } = objects;
  expect(inspect({ room: { peer: { dataConsumerSctp } } }, { depth: 1 })).toContain('[Object]');
  expect(inspect({ room: { dataConsumerSctp, router } }, { depth: 1, ...ONE_LINE })).toBe(
    '{ room: { dataConsumerSctp: [DataConsumer], router: [Router] } }',
  );
});

test('does not throw for objects that only inherit from an entity', () => {
  const inherits: types.Router = Object.create(objects.router);
  const prototype = Object.getPrototypeOf(objects.router) as object;
  for (const it of [inherits, new Proxy(inherits, {})]) {
    expect(inspect(it)).toContain('Router');
    expect(JSON.stringify(it)).toBe('{}');
  }
  expect(() => inspect(prototype)).not.toThrow();
});

test('behind a Proxy of an object whose own inspect method looks behind another Proxy', () => {
  const { router, directTransport } = objects;
  const other = new Proxy(directTransport, {});
  const { [inspect.custom]: shown } = Object.getPrototypeOf(router) as any;
  Object.defineProperty(router, inspect.custom, {
    value(this: typeof router, ...args: unknown[]): unknown {
      expect(JSON.parse(JSON.stringify(other))).toMatchObject({ id: directTransport.id });
      return shown.apply(this, args);
    },
  });
  expect(JSON.parse(JSON.stringify(new Proxy(router, {})))).toEqual({
    id: router.id,
    closed: false,
  });
});
