import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { once } from 'node:events';

import { whyNot } from '../../robustness/cluster/Net';
import { ROOM, SECRET, Scene } from '../../robustness/cluster/Scene';

/** What two hosts say to each other and to the bus, as a listener on the wire sees it (tcpdump). */

const reason = whyNot();
const inNamespaces = reason === undefined ? describe : describe.skip;

const LABEL = 'a label that must stay private';
const INFO = 'what the application says of its user';
const PAYLOAD = 'what one client says to another one';
const CONTROL = 'what is said without a cluster';

/** All packets on the bridge between the namespaces. */
class Tap {
  #bytes: Buffer[] = [];

  private constructor(readonly process: ChildProcessWithoutNullStreams) {
    this.process.stdout.on('data', (data) => this.#bytes.push(data));
  }

  static async start(scene: Scene): Promise<Tap> {
    const [command, ...args] = [...scene.net.inside(''), 'tcpdump', '-i', 'any', '-U', '-w', '-'];
    const tap = new Tap(spawn(command!, args));
    await Promise.race([
      once(tap.process.stdout, 'data'),
      once(tap.process, 'close').then(() => Promise.reject(new Error('no tcpdump'))),
    ]);
    return tap;
  }

  get size(): number {
    return this.#bytes.reduce((sum, { length }) => sum + length, 0);
  }

  has(text: string): boolean {
    return Buffer.concat(this.#bytes).includes(text);
  }

  /** Resolves once a text has been seen. */
  async seen(text: string): Promise<void> {
    while (!this.has(text)) await once(this.process.stdout, 'data');
  }

  async end(): Promise<void> {
    this.process.kill('SIGINT');
    await once(this.process, 'close');
  }
}

inNamespaces(`in network namespaces${reason === undefined ? '' : ` (${reason})`}`, () => {
  test.each([
    ['nats', 'pipe'],
    ['redis', 'pipe'],
    ['nats', 'bus'],
  ] as const)(
    'neither messages, labels, info, names of rooms nor the secret are legible on the wire: %s, data by %s',
    async (kind, carrier) => {
      const hosts = { a: 'bus', b: 'bus' };
      const scene = await Scene.create({ kind, lease: 2000, perSecond: 0, hosts, carrier });
      const tap = await Tap.start(scene);
      try {
        const id = await scene.announce('a', { label: LABEL, info: INFO });
        await scene.consumed('b', id);
        for (let count = 0; count < 100; count += 1) {
          await scene.member('a').call('sendText', `${PAYLOAD} ${count}`.padStart(50 * count, ' '));
        }
        await scene.caughtUp('b', 'a');
        await scene.leave('a');

        // The same in the clear, over UDP and through the bus, would have been seen.
        await scene.member('b').call('inTheClear', scene.net.address('a'), `${CONTROL} over UDP`);
        await tap.seen(`${CONTROL} over UDP`);
        await scene.member('b').call('publish', `${CONTROL} through the bus`);
        await tap.seen(`${CONTROL} through the bus`);
      } finally {
        await tap.end();
        await scene.close();
      }
      // All messages have crossed the bridge.
      expect(tap.size).toBeGreaterThan(200_000);
      for (const text of [LABEL, INFO, PAYLOAD, ROOM, SECRET]) {
        for (const encoding of ['utf8', 'base64', 'hex'] as const) {
          // The ends of what base64 makes depend on what is beside it.
          const needle = Buffer.from(text).toString(encoding).slice(0, 32);
          expect([needle, tap.has(needle)]).toEqual([needle, false]);
        }
      }
    },
    30_000,
  );
});
