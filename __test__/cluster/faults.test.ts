import { Envelope, epochOf } from '../../lib/cluster/envelope';
import { Peer, Peers } from '../../lib/cluster/Peers';
import type { Entry } from '../../lib/cluster/types';
import type { FakeDataConsumer } from '../helpers/cluster/FakeGateway';
import { type Process, World } from '../helpers/cluster/World';

// The faults that a cluster survives, one by one, in virtual time.

const LEASE = 2000;
const BEAT = LEASE / 5;
const ROOM = '0'.repeat(32);

let world: World;
let a: Process;
let b: Process;
let c: Process;
/** A DataProducer of `a`, which `b` consumes. */
let id: string;

beforeEach(async () => {
  world = new World(1, { lease: LEASE });
  [a, b, c] = ['a', 'b', 'c'].map((name) => world.start(name)) as [Process, Process, Process];
  for (const process of [a, b, c]) process.join(ROOM);
  await world.run(100);
  id = a.announce(ROOM);
  c.announce(ROOM);
  await world.run(100);
  b.want('a', id);
  await world.run(100);
  for (const process of [a, b, c]) process.events.length = 0;
});

afterEach(() => {
  expect(world.failures).toEqual([]);
});

/** Lets time pass while `a` sends 50 messages a second. */
async function sending(ms: number): Promise<void> {
  for (const end = world.time + ms; world.time < end;) {
    a.send(id);
    await world.run(20);
  }
}

/** How many messages `b` has lost, and how many were reported to it as missed. Its consumer must be open. */
function lost(): { lost: number; reported: number } {
  const session = b.sessions.get(id)!;
  return {
    lost: session.gaps + a.producers.get(id)!.sent - session.last,
    reported: session.reported,
  };
}

/** The stream of `a` to `b`. */
function carried(): FakeDataConsumer {
  return [...a.gateway.dataProducers.get(id)!.consumers][0]!;
}

function downs(process: Process): string[] {
  return process.events.filter((event) => event.startsWith('hostdown'));
}

test('a host that is killed is gone after a lease and a beat, and its DataProducers with it', async () => {
  a.kill();
  await world.run(LEASE - BEAT);
  expect(downs(b)).toEqual([]);
  await world.run(2 * BEAT + 50);
  expect(downs(b)).toEqual(['hostdown a lease']);
  expect([...b.seen.get(ROOM)!].map((each) => each[0])).toEqual(['c']);
  expect(b.sessions.size).toBe(0);
});

test('a host that leaves is gone at once', async () => {
  a.leave();
  await world.run(10);
  expect(downs(b)).toEqual(['hostdown a left']);
  expect(b.sessions.size).toBe(0);
});

test('a host that leaves repeats it until all have heard it, and says nothing else', async () => {
  const since = world.recorded.length;
  world.busDown = 1;
  a.leave();
  await world.run(350);
  world.busDown = 0;
  // A question to `a`, which has left, has no answer.
  c.announce(ROOM);
  const late = world.start('late');
  late.join(ROOM);
  await world.run(100);
  expect(a.alive).toBe(false);
  expect(downs(b)).toEqual(['hostdown a left']);
  const said = world.recorded.slice(since).filter(({ from }) => from === 'a');
  expect(said.length).toBeGreaterThan(2);
  for (const { data } of said) expect(Buffer.from(data).toString()).toContain('"type":"bye"');
  await world.run(LEASE * 2);
  expect([b.events, c.events].flat().filter((event) => event.includes(' a'))).toEqual([
    'hostdown a left',
    'hostdown a left',
  ]);
  expect(late.events).not.toContain('hostup a');
});

test('a host that leaves while the bus is down is gone after a second for itself, after a lease for others', async () => {
  world.busDown = 1;
  a.leave();
  await world.run(1010);
  expect(a.alive).toBe(false);
  world.busDown = 0;
  await world.run(LEASE + 3 * BEAT);
  expect(downs(b)).toEqual(['hostdown a lease']);
});

test('a host that restarts under its name is replaced on contact', async () => {
  a.kill();
  const again = world.start('a');
  again.join(ROOM);
  const other = again.announce(ROOM);
  await world.run(40);
  expect(b.events).toEqual(['hostdown a restarted', 'hostup a']);
  expect(b.seen.get(ROOM)).toContain(`a ${other}`);
  expect(b.seen.get(ROOM)).not.toContain(`a ${id}`);
});

test('a host that leaves a room and joins it again has its new DataProducers only', async () => {
  a.leaveRoom(ROOM);
  a.join(ROOM);
  const other = a.announce(ROOM);
  await world.run(50);
  expect(b.seen.get(ROOM)).toContain(`a ${other}`);
  world.checkViews();
});

test('10 s without bus lose no message and close nothing; what is new comes a beat after it is back', async () => {
  world.busDown = 1;
  await sending(10_000);
  expect(lost()).toEqual({ lost: 0, reported: 0 });
  c.announce(ROOM);
  await sending(100);
  world.busDown = 0;
  await sending(BEAT + 50);
  for (const process of [a, b, c]) expect(process.events).toEqual(['busdown', 'busup']);
  world.checkViews();
  expect(lost()).toEqual({ lost: 0, reported: 0 });
});

test('a bus that stands still for 8 s and then delivers all is down and up again', async () => {
  world.busStalled = 1;
  await sending(8000);
  world.unstall();
  await sending(9000);
  for (const process of [a, b, c]) {
    expect(process.events.filter((event) => event.startsWith('bus'))).toEqual(['busdown', 'busup']);
  }
  world.checkViews();
});

test('one host without bus for 8 s loses no message; those without a pipe to it are gone and back', async () => {
  b.cut = 1;
  await sending(8000);
  const fresh = a.announce(ROOM);
  await sending(100);
  b.cut = 0;
  await sending(BEAT + 50);
  expect(b.seen.get(ROOM)).toContain(`a ${fresh}`);
  expect(downs(a)).toEqual([]);
  expect(b.events).toEqual(['busdown', 'busup']);
  expect(c.events).toEqual(['hostdown b lease', 'hostup b']);
  expect(lost()).toEqual({ lost: 0, reported: 0 });
  world.checkViews();
});

test('UDP that is blocked for less than a lease delays messages and loses none', async () => {
  world.blockUdp('a', 'b');
  await sending(1500);
  expect(lost().lost).toBeGreaterThan(0);
  world.blockUdp('a', 'b', -1);
  await sending(1000);
  await world.run(100);
  expect(lost()).toEqual({ lost: 0, reported: 0 });
});

test('UDP that is blocked for longer: the consumer stays open, and what was lost is said exactly', async () => {
  world.blockUdp('a', 'b');
  await sending(5000);
  world.blockUdp('a', 'b', -1);
  await sending(8000);
  await world.run(100);
  const { lost: gaps, reported } = lost();
  expect(gaps).toBeGreaterThan(100);
  expect(reported).toBe(gaps);
  expect(downs(b)).toEqual([]);
});

test('a host that is frozen for 8 s is gone, and back when it wakes; it keeps what it knew itself', async () => {
  a.pause();
  await world.run(8000);
  expect(downs(b)).toEqual(['hostdown a lease']);
  expect(b.sessions.size).toBe(0);
  a.resume();
  await world.run(100);
  expect(b.events).toEqual(['hostdown a lease', 'hostup a']);
  expect(downs(a)).toEqual([]);
  world.checkViews();
});

test('a pause of the observer is not the silence of others', async () => {
  b.pause();
  await world.run(8000);
  b.resume();
  await world.run(100);
  expect(downs(b)).toEqual([]);
});

test('a full partition: each side is gone for the other after a lease, and back two beats after it is over', async () => {
  world.busGroup.set('a', 1);
  world.blockUdp('a', 'b');
  await sending(LEASE + 2 * BEAT + 50);
  expect(downs(a).sort()).toEqual(['hostdown b lease', 'hostdown c lease']);
  expect(downs(b)).toEqual(['hostdown a lease']);
  world.busGroup.clear();
  world.blockUdp('a', 'b', -1);
  await world.run(BEAT + 100);
  world.checkViews();
});

test('a host whose wall clock was set back before it restarts is let in once the former is gone', async () => {
  a.kill();
  const again = world.start('a', { clockOffset: -1e9 });
  again.join(ROOM);
  again.announce(ROOM);
  await world.run(LEASE / 2);
  expect(b.events).toEqual([]);
  // Its beats are not accepted yet, but the next state that it publishes is.
  await world.run(40_000);
  expect(b.events).toEqual(['hostdown a lease', 'hostup a']);
  world.checkViews();
});

test('of two processes of one name the elder is fenced', async () => {
  const younger = world.start('a');
  younger.join(ROOM);
  await world.run(BEAT + 100);
  expect(a.events).toEqual(['fenced']);
  expect(younger.events).not.toContain('fenced');
  a.kill();
  await world.run(100);
  world.checkViews();
});

test('two processes of one name need not share a room for the elder to be fenced', async () => {
  const younger = world.start('a');
  younger.join('1'.repeat(32));
  await world.run(2 * BEAT);
  expect(a.events).toEqual(['fenced']);
  expect(younger.events).toEqual([]);
  a.kill();
});

test('a host that restarts is up once it is in the room', async () => {
  a.kill();
  await world.run(LEASE + 2 * BEAT);
  const again = world.start('a');
  // `b` hears the beats of `a` again, but they do not say that it is in the room.
  await world.run(2 * BEAT);
  expect(b.events).toEqual(['hostdown a lease']);
  again.join(ROOM);
  await world.run(50);
  expect(b.events).toEqual(['hostdown a lease', 'hostup a']);
  world.checkViews();
});

test('recordings make no host publish its list', async () => {
  for (let count = 0; count < 1000; count += 1) {
    b.announce(ROOM);
    c.announce(ROOM);
  }
  await world.run(100);
  const before = world.recorded.length;
  const late = world.start('late');
  late.join(ROOM);
  await world.run(100);
  const recordings = world.recorded.slice(before).filter(({ from }) => from === 'late');
  expect(world.published(before, 'b').bytes).toBeGreaterThan(100_000);
  late.kill();
  // The host is forgotten, and its counters with it.
  await world.run(2 * LEASE);
  const since = world.recorded.length;
  for (const recorded of recordings) {
    world.replay(recorded);
    await world.run(20);
  }
  await world.run(LEASE);
  expect(recordings.length).toBeGreaterThan(2);
  expect(world.published(since, 'b').messages).toBeGreaterThan(0);
  expect(world.published(since).bytes).toBeLessThan(10_000);
});

test('recorded beats do not keep a host alive', async () => {
  await world.run(20 * BEAT);
  const recorded = world.recorded.filter(({ subject }) => subject === 'p.beat.a');
  // A new host does not know their counters.
  const late = world.start('late');
  late.join(ROOM);
  await world.run(50);
  expect(late.events).toContain('hostup a');
  a.kill();
  for (const beat of recorded.slice(-20)) {
    world.replay(beat);
    await world.run(BEAT);
  }
  for (const each of [b, c, late]) expect(downs(each)).toEqual(['hostdown a lease']);
});

test('the recording of a younger incarnation keeps no host out', async () => {
  const younger = world.start('d', { clockOffset: 1e6 });
  const before = world.recorded.length;
  younger.join(ROOM);
  await world.run(50);
  younger.kill();
  await world.run(2 * LEASE);
  const [join] = world.recorded.slice(before).filter(({ from }) => from === 'd');
  world.replay(join);
  await world.run(3 * BEAT);
  world.start('d').join(ROOM);
  await world.run(50);
  expect(b.events.slice(-2)).toEqual(['hostdown d lease', 'hostup d']);
  world.checkViews();
});

test('after an outage hosts ask for what has changed, and nothing else', async () => {
  world.recording = Infinity;
  for (let count = 0; count < 17; count += 1) {
    const one = world.start(`many${count}`);
    one.join(ROOM);
    one.announce(ROOM);
    await world.run(5);
  }
  await world.run(2000);
  const outage = async (): Promise<number> => {
    world.busDown = 1;
    await world.run(10_000);
    a.announce(ROOM);
    await world.run(100);
    world.busDown = 0;
    const since = world.recorded.length;
    await world.run(BEAT + 250);
    world.checkViews();
    return since;
  };
  const since = await outage();
  // Each host says its state; what 19 hosts have missed of `a` is a question and a list.
  expect(world.published(since).messages).toBeLessThan(20 + 2 * 19 + 10);
  expect(world.published(since, 'a').messages).toBeLessThan(22);
  await world.run(2000);
});

test('hosts that join at once ask each other one after the other', async () => {
  world.recording = Infinity;
  const since = world.recorded.length;
  for (let count = 0; count < 27; count += 1) {
    const one = world.start(`many${count}`);
    one.join(ROOM);
    one.announce(ROOM);
  }
  await world.run(20);
  const early = world.published(since).messages;
  await world.run(1000);
  const all = world.published(since).messages;
  world.checkViews();
  // Per pair two questions, which confirm, and two lists.
  expect(all).toBeLessThan(4 * ((30 * 29) / 2) + 2 * 30);
  expect(early).toBeLessThan(all / 2);
});

test('a host that has left a room unheard is seen to have left, also if another room shows its last change', async () => {
  const other = '1'.repeat(32);
  b.join(other);
  await world.run(2 * BEAT);
  b.cut = 1;
  a.leaveRoom(ROOM);
  a.join(other);
  a.announce(other);
  await world.run(2 * BEAT);
  b.cut = 0;
  // What `a` says in the other room comes before its next beat.
  b.host.lists.leave(other);
  b.rooms.delete(other);
  b.seen.delete(other);
  b.join(other);
  await world.run(BEAT + 50);
  world.checkViews();
});

test('a host that hears few of its own beats says its state once a beat at most', async () => {
  const { publish } = a.bus;
  const held: (() => void)[] = [];
  a.bus.publish = (subject, data) => {
    if (subject === 'p.beat.a') held.push(() => publish(subject, data));
    else publish(subject, data);
  };
  const since = world.recorded.length;
  for (let round = 0; round < 10; round += 1) {
    await world.run(4 * BEAT);
    // Every second one is delivered, which leaves two gaps at once.
    for (const [index, deliver] of held.splice(0).entries()) if (index % 2 === 0) deliver();
  }
  expect(world.published(since, 'a').messages).toBeGreaterThan(10);
  expect(world.published(since, 'a').messages).toBeLessThan(25);
});

test('names that were recorded keep no new host out', async () => {
  const peers = new Peers(new Peer('self', 'e'), {
    up: () => {},
    gone: () => {},
    forgotten: () => {},
    fenced: () => {},
    busDown: () => {},
    busUp: () => {},
    missed: () => {},
    missedFrom: () => {},
  });
  const hear = (host: string): Peer =>
    peers.accept('room', 'p.room.r', { host, epoch: 'e', counter: 1 });
  for (let count = 1; count < 9999; count += 1) hear(`host${count}`);
  const honest = hear('honest');
  peers.confirm(honest, 1);
  expect(() => hear('new')).toThrow('toomany');
  for (let ticks = 0; ticks < 3; ticks += 1) peers.tick(() => Infinity);
  expect(hear('new').host).toBe('new');
  expect(peers.get('honest')).toBe(honest);
});

test('a list of more DataProducers than a host may have is not taken', async () => {
  const { publish } = c.bus;
  const entries = (count: number): Entry[] =>
    Array.from({ length: count }, () => {
      made += 1;
      const id = `00000000-0000-0000-0000-${`${made}`.padStart(12, '0')}`;
      return { id, label: '', protocol: '', info: '', ordered: true };
    });
  let surplus = 2;
  let made = 0;
  c.bus.publish = (subject, data) => {
    const message = JSON.parse(Buffer.from(data).toString().split('\n')[1]!);
    if (!message.list) {
      publish(subject, data);
      return;
    }
    for (const [part, count] of [5000, 4999 + surplus].entries()) {
      const list = JSON.stringify({ ...message, part, parts: 2, list: entries(count) });
      publish(subject, c.sealer.seal(subject, Buffer.from(list)));
    }
  };
  const late = world.start('late');
  late.join(ROOM);
  await world.run(1500);
  const seen = (): number =>
    [...late.seen.get(ROOM)!].filter((each) => each.startsWith('c')).length;
  expect(seen()).toBe(0);
  surplus = 0;
  await world.run(2000);
  expect(seen()).toBe(9999);
});

test.each<[string, () => unknown]>([
  [
    'throws',
    () => {
      throw new Error('too long');
    },
  ],
  ['returns false', () => false],
  ['returns a promise of false', () => Promise.resolve(false)],
  [
    'rejects',
    () => ({ then: (_: unknown, reject: (error: Error) => void) => reject(new Error('away')) }),
  ],
])('a bus that %s loses the message, which is counted', async (_, lose) => {
  const { publish } = a.bus;
  a.bus.publish = lose;
  a.announce(ROOM);
  await world.run(2 * BEAT);
  expect(a.host.stats().unsent).toBeGreaterThanOrEqual(3);
  expect(a.host.stats().control.sent['diff']).toBe(1);
  a.bus.publish = publish;
  await world.run(BEAT + 50);
  world.checkViews();
});

test('recordings of a dead host do not bring it back, nor do those of a living one change anything', async () => {
  a.kill();
  await world.run(LEASE + 2 * BEAT);
  const before = [b, c].map((process) => [...process.events]);
  const { sent } = world;
  for (let round = 0; round < 3; round += 1) {
    for (const { subject, data } of [...world.recorded]) {
      for (const { listener, process } of world.subscriptions.get(subject) ?? []) {
        process.run(() => listener(data));
      }
    }
    await world.run(LEASE);
  }
  expect([b, c].map((process) => process.events)).toEqual(before);
  expect(b.host.stats().refused['replayed']).toBeGreaterThan(10);
  // Challenges are bounded, whatever is replayed.
  expect(world.sent - sent).toBeLessThan(300);
  world.checkViews();
});

test('a list that takes many messages is whole although one of them is lost', async () => {
  for (let count = 0; count < 3000; count += 1) a.announce(ROOM);
  await world.run(50);
  let answers = 0;
  const late = world.start('late');
  const { publish } = a.bus;
  a.bus.publish = (subject, data) => {
    if (subject === 'p.to.late') answers += 1;
    if (answers !== 2 || subject !== 'p.to.late') publish(subject, data);
  };
  late.join(ROOM);
  await world.run(3000);
  expect(answers).toBeGreaterThan(4);
  expect(late.seen.get(ROOM)!.size).toBe(3002);
  world.checkViews();
});

test('a change that is lost is found with the next one', async () => {
  const { publish } = a.bus;
  a.bus.publish = () => {};
  a.announce(ROOM);
  await world.run(10);
  a.bus.publish = publish;
  a.announce(ROOM);
  await world.run(50);
  world.checkViews();
});

test('a host that answers too late to a join is asked when it asks itself', async () => {
  a.pause();
  const late = world.start('late');
  late.join(ROOM);
  await world.run(3500);
  a.resume();
  await world.run(50);
  expect(late.seen.get(ROOM)).toContain(`a ${id}`);
});

test('old requests of a taker are refused: a lower gen, a lower pipe number', async () => {
  const [pipe] = a.gateway.transports;
  const late = (message: object): void => {
    const text = JSON.stringify({ v: 1, id: '1'.repeat(32), to: a.epoch, ...message });
    b.bus.publish('p.to.a', b.sealer.seal('p.to.a', Buffer.from(text)));
  };
  late({ type: 'want', pipe: 1, gen: 1, items: [[id, null]] });
  late({ type: 'want', pipe: 0, gen: 99, items: [[id, null]] });
  late({ type: 'pipe', pipe: 0, address: 'b', port: 99, fingerprint: '' });
  await world.run(50);
  expect(carried().transport).toBe(pipe);
  expect([...a.gateway.transports]).toEqual([pipe]);
  await sending(100);
  expect(lost().reported).toBe(0);
});

test('what changes while a want waits for its answer goes with the next one', async () => {
  world.delay = { min: 40, max: 40 };
  b.host.takes.change('a', id, [1]);
  await world.run(70);
  b.host.takes.change('a', id, [2]);
  await world.run(300);
  expect(carried().subchannels).toEqual([2]);
});

test('a stream that the origin ends is wanted again, and what was lost is said', async () => {
  await sending(100);
  world.delay = { min: 100, max: 100 };
  carried().close();
  await sending(30);
  carried()?.close();
  await sending(800);
  await world.run(100);
  const { lost: gaps, reported } = lost();
  expect(gaps).toBeGreaterThan(5);
  expect(reported).toBe(gaps);
});

test('messages of an incompatible version are refused, and said once', async () => {
  const sealer = a.sealer;
  for (let count = 0; count < 3; count += 1) {
    const news = sealer.seal(`p.room.${ROOM}`, Buffer.from('{"v":9,"type":"news"}'));
    a.bus.publish(`p.room.${ROOM}`, news);
  }
  await world.run(10);
  expect(b.events).toEqual(['incompatible a']);
  expect(b.host.stats().refused['incompatible']).toBe(3);
});

describe.each([
  [1, 2],
  [2, 3],
])('hosts of releases %i and %i', (older, newer) => {
  // There is nothing before version 1.
  const FORMER = { range: { oldest: Math.max(1, older - 1), current: older } };
  const LATTER = { range: { oldest: older, current: newer } };
  let former: Process;
  let latter: Process;
  let newest: Process;

  /** The versions that a host has written messages in since. */
  function spoken({ name }: Process, since: number, type = ''): number[] {
    const said = world.recorded
      .slice(since)
      .filter(({ from }) => from === name)
      .map(({ data }) => JSON.parse(Buffer.from(data).toString().split('\n')[1]!));
    return [...new Set(said.filter((it) => it.type.startsWith(type)).map(({ v }) => v))];
  }

  beforeEach(async () => {
    world = new World(3, { lease: LEASE });
    former = world.start('former', FORMER);
    former.join(ROOM);
    await world.run(3 * LEASE);
    latter = world.start('latter', LATTER);
    newest = world.start('newest', LATTER);
    for (const process of [latter, newest]) {
      process.join(ROOM);
      process.announce(ROOM);
    }
    await world.run(100);
  });

  test('share rooms with the release before', async () => {
    const ids = [former, latter, newest].map((process) => process.announce(ROOM));
    await world.run(3 * LEASE);
    former.want('latter', ids[1]!);
    latter.want('former', ids[0]!);
    newest.want('former', ids[0]!);
    await world.run(100);
    for (let count = 0; count < 10; count += 1) {
      for (const process of [former, latter, newest])
        process.send([...process.producers.keys()].at(-1)!);
      await world.run(20);
    }
    world.checkViews();
    world.checkSessions();
    expect(world.delivered).toBe(30);
    for (const { host, events } of [former, latter, newest]) {
      expect(events.filter((event) => !event.startsWith('hostup'))).toEqual([]);
      // What was said at once to hosts that had not been heard yet.
      const { ahead, ...refused } = host.stats().refused;
      expect(refused).toEqual({});
      expect(ahead ?? 0).toBeLessThanOrEqual(2);
    }
  });

  test('speak the newer version once the last host of the release before has gone', async () => {
    former.leave();
    await world.run(100);
    const since = world.recorded.length;
    newest.announce(ROOM);
    await world.run(LEASE);
    world.checkViews();
    expect(spoken(newest, since, 'diff')).toEqual([newer]);
    expect(spoken(latter, since, 'beat')).toEqual([newer]);
    // To hosts that may have appeared unheard while the bus was down, states go in the older version.
    world.busDown = 1;
    await world.run(LEASE);
    world.busDown = 0;
    await world.run(LEASE);
    expect(spoken(latter, since, 'state')).toEqual([older]);
    expect(spoken(latter, since, 'beat')).toEqual([newer]);
  });

  test('speak the older version as soon as a host of the release before is back', async () => {
    former.leave();
    await world.run(2 * LEASE);
    former = world.start('former', FORMER);
    former.join(ROOM);
    former.announce(ROOM);
    await world.run(20);
    const since = world.recorded.length;
    newest.announce(ROOM);
    await world.run(3 * LEASE);
    world.checkViews();
    expect(spoken(newest, since)).toEqual([older]);
    expect(former.events.filter((event) => event.startsWith('incompatible'))).toEqual([]);
  });

  test('are seen at once by a host of the release before that joins, and see it', async () => {
    former.leave();
    await world.run(2 * LEASE);
    former = world.start('former', FORMER);
    former.join(ROOM);
    await world.run(100);
    world.checkViews();
    expect(latter.events.at(-1)).toBe('hostup former');
  });

  test('speak the newer version also while they join rooms', async () => {
    former.leave();
    await world.run(2 * LEASE);
    const since = world.recorded.length;
    for (let count = 0; count < 20; count += 1) {
      newest.join(`${count}`.padStart(32, '0'));
      newest.announce(ROOM);
      await world.run(BEAT);
    }
    expect(spoken(newest, since, 'diff')).toEqual([newer]);
    expect(spoken(newest, since, 'beat')).toEqual([newer]);
  });

  test('are not held to the older version by the recording of a host that has gone', async () => {
    const recorded = world.recorded.filter(({ from }) => from === 'former');
    former.leave();
    await world.run(2 * LEASE);
    const since = world.recorded.length;
    for (const each of recorded) {
      world.replay(each);
      newest.announce(ROOM);
      await world.run(10);
    }
    expect(spoken(newest, since, 'diff')).toEqual([newer]);
    await world.run(2 * BEAT);
    expect(spoken(newest, since, 'beat')).toEqual([newer]);
    world.checkViews();
  });

  test('meet again after a partition, and call nothing incompatible', async () => {
    world.busGroup.set('former', 1);
    await world.run(3 * LEASE);
    for (const process of [former, latter, newest]) process.announce(ROOM);
    const since = world.recorded.length;
    await world.run(2 * BEAT);
    expect(spoken(newest, since, 'beat')).toEqual([newer]);
    world.busGroup.clear();
    await world.run(3 * BEAT);
    world.checkViews();
    const all = [former, latter, newest].flatMap(({ events }) => events);
    expect(all.filter((event) => event.startsWith('incompatible'))).toEqual([]);
  });

  test('join a room of the release before, however long they have run', async () => {
    const other = '1'.repeat(32);
    former.leave();
    await world.run(2 * LEASE);
    former = world.start('former', FORMER);
    former.join(other);
    await world.run(2 * LEASE);
    world.delay = { min: 50, max: 50 };
    latter.join(other);
    await world.run(60);
    latter.announce(other);
    await world.run(200);
    world.checkViews();
    expect(former.seen.get(other)?.size).toBe(1);
    expect(former.events).toEqual(['hostup latter']);
  });

  test('that are two versions away are not there', async () => {
    former.leave();
    await world.run(10);
    former = world.start('former', { range: { oldest: newer + 1, current: newer + 2 } });
    former.join(ROOM);
    latter.announce(ROOM);
    await world.run(100);
    expect(former.seen.get(ROOM)?.size).toBe(0);
    expect(former.events).toEqual(['incompatible latter']);
    expect(latter.events).toContain('incompatible former');
  });
});

test('the secret changes while hosts restart one by one: all see each other all the time', async () => {
  world = new World(4, { lease: LEASE, realSealer: true });
  const [before, after] = [7, 8].map((byte) => Buffer.alloc(32, byte)) as [Buffer, Buffer];
  const names = ['a', 'b', 'c'];
  const run = async (name: string, secrets: Buffer[]): Promise<void> => {
    world.processes.get(name)?.leave();
    await world.run(50);
    const process = world.start(name, { secrets });
    process.join(ROOM);
    process.announce(ROOM);
    await world.run(100);
  };

  for (const name of names) await run(name, [before]);
  for (const secrets of [[before, after], [after, before], [after]]) {
    for (const name of names) {
      await run(name, secrets);
      world.checkViews();
    }
    await world.run(2 * LEASE);
    world.checkViews();
  }
  for (const { host, events } of world.processes.values()) {
    expect(host.stats().refused).not.toHaveProperty('key');
    for (const event of events) expect(event).toMatch(/^host(up \w|down \w left)$/);
  }
});

test('a host with another secret is not there, and its messages change nothing', async () => {
  world = new World(2, { lease: LEASE, realSealer: true });
  const [one, other] = ['one', 'other'].map((name) => world.start(name)) as [Process, Process];
  one.join(ROOM);
  other.join(ROOM);
  await world.run(100);
  const before = [...one.events];
  const stranger = new Envelope({
    secrets: [Buffer.alloc(32, 9)],
    host: 'stranger',
    epoch: epochOf(2e12, Buffer.alloc(6)),
  });
  const messages = ['{"v":1,"type":"state","seq":1}', '{"v":1,"type":"leave","seq":99}'];
  for (const message of messages) {
    one.bus.publish(`p.room.${ROOM}`, stranger.seal(`p.room.${ROOM}`, Buffer.from(message)));
  }
  one.bus.publish(
    `p.beat.other`,
    stranger.seal('p.beat.other', Buffer.from('{"v":1,"type":"bye"}')),
  );
  await world.run(100);
  expect(one.events).toEqual(before);
  expect(one.host.stats().refused).toEqual({ key: 3 });
});

test('a host says bye on its own subject only', async () => {
  // The message is sealed with the right secret, but by another host.
  const data = c.sealer.seal('p.beat.a', Buffer.from('{"v":1,"type":"bye"}'));
  c.bus.publish('p.beat.a', data);
  await world.run(10);
  expect(downs(b)).toEqual([]);
  expect(b.host.stats().refused['crossed']).toBe(1);
});

test('subchannels of a path change with the last of many calls, and no message of the others is lost', async () => {
  const requests = (): number =>
    world.recorded.filter(
      ({ subject, data }) => subject === 'p.to.a' && Buffer.from(data).includes('"type":"want"'),
    ).length;
  const before = requests();
  for (let subchannel = 0; subchannel < 10; subchannel += 1) {
    b.host.takes.change('a', id, [subchannel]);
  }
  await world.run(200);
  expect(requests()).toBe(before + 1);
  expect(carried().subchannels).toEqual([9]);
});

test('the pipe closes with the last that is taken through it', async () => {
  expect(b.gateway.transports.size).toBe(1);
  b.release(id);
  await world.run(100);
  expect([a, b, c].map((process) => process.gateway.transports.size)).toEqual([0, 0, 0]);
  expect(b.host.stats().takes).toEqual([]);
});

describe('where UDP is blocked', () => {
  /** Makes `b` want a DataProducer of `a` anew. Returns what is called then. */
  function want(): { ready: jest.Mock; failed: jest.Mock; missed: jest.Mock } {
    const taker = { ready: jest.fn(), failed: jest.fn(), missed: jest.fn() };
    b.release(id);
    b.host.takes.want('a', b.entries.get(id)!, true, taker);
    return taker;
  }

  test('the bus carries after three pipes that failed, in order, and UDP again once it works', async () => {
    world.blockUdp('a', 'b');
    await sending(25_000);
    expect(b.events).toEqual(['carrier a bus']);
    expect(b.host.stats().takes).toMatchObject([{ host: 'a', state: 'up', carrier: 'bus' }]);
    expect(a.host.stats().gives).toEqual([{ host: 'b', carrier: 'bus', carried: 1 }]);
    await world.run(100);
    const before = lost();
    expect(before.lost).toBeGreaterThan(100);
    expect(before.reported).toBe(before.lost);
    // Each minute UDP is tried beside it, which loses nothing.
    await sending(130_000);
    await world.run(100);
    expect(lost()).toEqual(before);
    expect(a.gateway.transports.size).toBe(1);
    world.blockUdp('a', 'b', -1);
    await sending(65_000);
    await world.run(100);
    expect(b.events).toEqual(['carrier a bus', 'carrier a pipe']);
    expect(b.host.stats().takes).toMatchObject([
      { carrier: 'pipe', failures: 0, error: undefined },
    ]);
    const after = lost();
    expect(after.reported).toBe(after.lost);
    expect(after.lost - before.lost).toBeLessThan(5);
    expect([a, b].map(({ gateway }) => gateway.transports.size)).toEqual([1, 1]);
    expect(downs(b)).toEqual([]);
  });

  test('what is wanted then begins over the bus, and at once for a host that is known for it', async () => {
    world.blockUdp('a', 'b');
    await world.run(25_000);
    const again = want();
    await world.run(500);
    expect(again.ready).toHaveBeenCalled();
    b.host.takes.release('a', id);
    await world.run(10_000);
    expect(b.gateway.transports.size).toBe(0);
    const later = want();
    await world.run(500);
    expect(later.ready).toHaveBeenCalled();
    expect(b.host.stats().takes).toMatchObject([{ carrier: 'bus', failures: 0 }]);
  });

  test('a bus that is away breaks what it carries, and what is lost is said', async () => {
    world.blockUdp('a', 'b');
    await sending(25_000);
    world.busDown = 1;
    await sending(10_000);
    world.busDown = 0;
    await sending(20_000);
    await world.run(100);
    const { lost: gaps, reported } = lost();
    expect(gaps).toBeGreaterThan(300);
    expect(reported).toBe(gaps);
    expect(b.host.stats().takes).toMatchObject([{ state: 'up', carrier: 'bus' }]);
    expect(downs(a)).toEqual([]);
    expect(downs(b)).toEqual([]);
  });

  test.each(['auto', 'pipe'] as const)(
    'carrier %s: what never was ready fails',
    async (carrier) => {
      world = new World(1, { lease: LEASE, carrier });
      [a, b] = ['a', 'b'].map((name) => world.start(name)) as [Process, Process];
      for (const process of [a, b]) process.join(ROOM);
      id = a.announce(ROOM);
      await world.run(100);
      world.blockUdp('a', 'b');
      // The gateway of `a` makes no pipe for the bus either.
      world.workerErrors = carrier === 'auto' ? 1 : 0;
      const { failed } = want();
      await world.run(carrier === 'auto' ? 900 : 5000);
      expect(failed).not.toHaveBeenCalled();
      const [take] = b.host.stats().takes;
      expect(take!.error).toMatch(
        carrier === 'auto' ? 'no port is free' : /no answer from a:\d+ by UDP/,
      );
      await world.run(25_000);
      expect(failed).toHaveBeenCalledTimes(1);
      expect(failed.mock.calls[0][0].message).toMatch(/^no path to host a: /);
      expect(b.gateway.transports.size).toBe(0);
      await world.run(20_000);
      expect([a.gateway.transports.size, world.relays.size]).toEqual([0, 0]);
    },
  );

  test('carrier bus: nothing goes over UDP', async () => {
    world = new World(1, { lease: LEASE, carrier: 'bus' });
    [a, b] = ['a', 'b'].map((name) => world.start(name)) as [Process, Process];
    for (const process of [a, b]) process.join(ROOM);
    id = a.announce(ROOM);
    await world.run(100);
    world.blockUdp('a', 'b');
    b.want('a', id);
    await world.run(500);
    await sending(70_000);
    expect(lost()).toEqual({ lost: 0, reported: 0 });
    expect(b.events).toEqual(['hostup a']);
  });
});

test('a bus that is down when something is wanted: it fails', async () => {
  world.busDown = 1;
  const taker = { ready: jest.fn(), failed: jest.fn(), missed: jest.fn() };
  const other = [...b.seen.get(ROOM)!].find((each) => each.startsWith('c '))!.slice(2);
  b.host.takes.want('c', b.entries.get(other)!, true, taker);
  // Over a pipe that works, and one that would have to be made.
  b.release(id);
  b.host.takes.want('a', b.entries.get(id)!, true, taker);
  await world.run(30_000);
  expect(taker.failed.mock.calls.map(([error]) => error.message)).toEqual([
    'host a does not answer on the bus',
    'no path to host c: the host does not answer on the bus',
  ]);
  world.busDown = 0;
  await world.run(3000);
});

test('a tunnel that is in use stays, although its stream was replaced', async () => {
  b.host.takes.change('a', id, [1]);
  await world.run(200);
  b.host.takes.change('a', id, true);
  await world.run(200);
  const tunnel = a.gateway.dataProducers.get(id);
  await world.run(70_000);
  expect(a.gateway.dataProducers.get(id)).toBe(tunnel);
  // The tunnel ends a minute after its last use.
  b.release(id);
  await world.run(70_000);
  expect(a.gateway.dataProducers.size).toBe(0);
});

test('pipes that break again and again, and subchannels that change meanwhile: the consumer stays', async () => {
  const dataProducer = b.gateway.dataProducers.get(id);
  const session = b.sessions.get(id)!;
  session.all = false;
  world.workerDelay = 200;
  for (let round = 0; round < 60; round += 1) {
    const [transport] = [...a.gateway.transports].slice(-1);
    if (world.random.chance(0.5)) transport?.close();
    b.host.takes.change('a', id, world.random.pick([true, [1, 2, 3]]));
    await sending(world.random.below(700));
  }
  world.workerDelay = 1;
  b.host.takes.change('a', id, true);
  await sending(6000);
  await world.run(100);
  expect(b.gateway.dataProducers.get(id)).toBe(dataProducer);
  expect(session.last).toBe(a.producers.get(id)!.sent);
  expect(session.reported).toBeGreaterThanOrEqual(session.gaps);
  expect([a, b].map(({ gateway }) => gateway.transports.size)).toEqual([1, 1]);
});

test('a stream that is replaced while it is being made: the answer to the first one is not that to the second', async () => {
  world.workerDelay = 100;
  b.host.takes.change('a', id, [1, 2, 3]);
  await world.run(1);
  b.host.takes.change('a', id, true);
  await world.run(2000);
  await sending(100);
  await world.run(500);
  expect(b.sessions.get(id)!.last).toBe(a.producers.get(id)!.sent);
});

test('what the origin cannot send at first is asked for again', async () => {
  world.workerErrors = 0.7;
  for (let round = 0; round < 10; round += 1) {
    b.release(id);
    b.want('a', id);
    await world.run(50);
  }
  world.workerErrors = 0;
  await world.run(10_000);
  if (!b.sessions.has(id)) b.want('a', id);
  await world.run(500);
  await sending(100);
  await world.run(100);
  expect(lost()).toEqual({ lost: 0, reported: 0 });
});

test('one pipe of a taker is made at a time, and one that it never connects to ends', async () => {
  const ask = (pipe: number): void => {
    const request = { v: 1, type: 'pipe', id: '1'.repeat(32), to: a.epoch, pipe };
    const text = JSON.stringify({ ...request, address: 'b', port: 999, fingerprint: '' });
    b.bus.publish('p.to.a', b.sealer.seal('p.to.a', Buffer.from(text)));
  };
  world.workerDelay = 50;
  for (let pipe = 100; pipe < 200; pipe += 1) {
    ask(pipe);
    await world.run(2);
    // The pipe in use, the next one, and one that is being made.
    expect(a.gateway.transports.size).toBeLessThanOrEqual(3);
  }
  await world.run(100);
  expect(a.gateway.transports.size).toBe(2);
  await sending(12_000);
  expect(a.gateway.transports.size).toBe(1);
  expect(lost()).toEqual({ lost: 0, reported: 0 });
});

test('what the origin does not have fails', async () => {
  const entry = b.entries.get(id)!;
  const failed = jest.fn();
  const unknown = { ...entry, id: '00000000-0000-0000-0000-000000000000' };
  b.host.takes.want('a', unknown, true, { ready: failed, failed, missed: failed });
  await world.run(100);
  expect(failed).toHaveBeenCalledTimes(1);
  expect(failed.mock.calls[0][0]).toBeInstanceOf(Error);
});

test('a host that closed has no timers and no subscriptions', async () => {
  for (const process of [a, b, c]) process.leave();
  await world.run(2000);
  expect([...world.subscriptions.values()].reduce((sum, set) => sum + set.size, 0)).toBe(0);
  expect(world.pending).toBe(0);
});
