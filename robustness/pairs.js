'use strict';

// npm run robustness -- pairs [--count=100] [--seconds=N] [--seed=1] [--verbose]
//
// Three hosts of a cluster in network namespaces, with a real bus (NATS for even seeds, Redis for odd ones), and two
// random faults at a time: hosts die, freeze, leave and restart, the bus dies or freezes, packets between hosts are
// lost. Fails if a message comes twice or out of order, if more is lost than 'missed' says, or if the hosts do not see
// and get everything again soon after the faults are over. Needs what `faults` needs.

const { setTimeout: sleep } = require('node:timers/promises');

const { refuse } = require('../scripts/options');
const { whyNot } = require('./cluster/Net');
const { Scene, now } = require('./cluster/Scene');
const { broken } = require('./cluster/streams');
const { Random } = require('./random');
const { runSeeds } = require('./seeds');

const LEASE = 2_000;
const BEAT = LEASE / 5;
const PER_SECOND = 50;
const HOSTS = { a: 'bus', b: 'bus', c: 'bus' };
/** What a pause of TCP between a host and the bus may cost beyond its own length: TCP waits up to twice as long. */
const TCP = 2.5 * LEASE;
/** The longest wait before a pipe is made again, in milliseconds. */
const PIPE = 5_000;
/** What a busy machine may add, in milliseconds. */
const SLACK = 2_000;

/**
 * @typedef {object} Kind
 * @property {string} name
 * @property {boolean} [ends] - whether the process of the host ends.
 * @property {number} recovers - how long it may take after the fault, in milliseconds.
 * @property {(scene: Scene, host: string, other: string) => Promise<() => unknown> | (() => unknown)} begin - returns
 * what ends it.
 */

/** @type {Kind[]} */
const FAULTS = [
  {
    name: 'dies',
    ends: true,
    recovers: LEASE + BEAT,
    async begin(scene, host) {
      await scene.kill(host);
      return () => scene.start(host);
    },
  },
  {
    name: 'leaves',
    ends: true,
    recovers: LEASE + BEAT,
    async begin(scene, host) {
      await scene.leave(host);
      await scene.kill(host);
      return () => scene.start(host);
    },
  },
  {
    name: 'restarts',
    ends: true,
    recovers: LEASE + BEAT,
    async begin(scene, host) {
      await scene.kill(host);
      await scene.start(host);
      return () => {};
    },
  },
  {
    name: 'is frozen',
    recovers: LEASE + BEAT,
    begin(scene, host) {
      scene.freeze(host, true);
      return () => scene.freeze(host, false);
    },
  },
  {
    name: 'is busy',
    recovers: LEASE + BEAT,
    begin(scene, host) {
      const ms = LEASE;

      // It may be frozen or dead.
      scene
        .member(host)
        .call('block', ms)
        .catch(() => {});
      return () => sleep(ms);
    },
  },
  {
    name: 'has no bus',
    recovers: TCP,
    begin: (scene, host) => scene.cut([host], scene.servers),
  },
  {
    name: 'has no network',
    recovers: TCP + PIPE,
    begin: (scene, host) => scene.cut([host], scene.others(host)),
  },
  {
    name: 'and another one have no UDP',
    recovers: LEASE + PIPE,
    begin: (scene, host, other) => scene.cut([host], [other], { protocol: 'udp' }),
  },
  {
    name: 'gets no UDP from another one',
    recovers: LEASE + PIPE,
    begin: (scene, host, other) => scene.cutOneWay(other, host, { protocol: 'udp' }),
  },
  {
    name: 'loses 30 % of all packets',
    recovers: TCP + PIPE,
    begin: (scene, host) => scene.cut([host], scene.others(host), { percent: 30 }),
  },
  {
    name: '(the bus is down)',
    recovers: LEASE + BEAT,
    async begin(scene) {
      await scene.killBus();
      return () => scene.startBus();
    },
  },
  {
    name: '(the bus is frozen)',
    recovers: LEASE + BEAT,
    begin(scene) {
      scene.freezeBus(true);
      return () => scene.freezeBus(false);
    },
  },
];

/**
 * @typedef {object} Act
 * @property {Kind} kind
 * @property {string} host
 * @property {string} other
 * @property {number} after - in milliseconds.
 * @property {number} lasts
 */

/**
 * @param {Random} random
 * @returns {[Act, Act]}
 */
function twoActs(random) {
  const act = (/** @type {readonly Kind[]} */ kinds, /** @type {string[]} */ hosts) => {
    const [host, other] = random.shuffle(hosts);

    return {
      kind: random.pick(kinds),
      host,
      other: other ?? 'abc'.replace(host, '')[random.below(2)],
      after: random.below(1.5 * LEASE),
      lasts: 200 + random.below(2.5 * LEASE),
    };
  };
  const first = { ...act(FAULTS, ['a', 'b', 'c']), after: 0 };
  const others = FAULTS.filter((kind) => kind !== first.kind);
  const second = act(others, ['a', 'b', 'c']);

  // A process ends once.
  if (first.kind.ends && second.kind.ends && first.host === second.host) {
    [second.host, second.other] = [second.other, second.host];
  }
  return [first, second];
}

/**
 * @param {Scene} scene
 * @param {Act} act
 * @param {(what: string) => void} trace
 */
async function perform(scene, { kind, host, other, after, lasts }, trace) {
  const what = kind.name.includes('(') ? kind.name : `${host} ${kind.name} (${other})`;

  await sleep(after);
  trace(what);

  const end = await kind.begin(scene, host, other);

  await sleep(lasts);
  await end();
  trace(`over: ${what}`);
}

/** @param {number} seed */
async function run(seed) {
  const random = new Random(seed);
  const acts = twoActs(random);
  const kind = seed % 2 === 0 ? 'nats' : 'redis';
  const began = now();
  /** @type {string[]} */
  const trace = [];
  const note = (/** @type {string} */ what) => {
    trace.push(`${seed} ${kind} ${Math.round(now() - began)} ms: ${what}`);
  };
  /** @type {Scene | undefined} */
  let scene;
  let failure;

  try {
    scene = await Scene.create({ kind, lease: LEASE, perSecond: PER_SECOND, hosts: HOSTS });
    note('all consume all');

    const { recovers: first } = acts[0].kind;
    const { recovers: second } = acts[1].kind;
    const here = scene;

    await Promise.all(acts.map((act) => perform(here, act, note)));

    const ms = await scene.settled(first + second + SLACK);
    const streams = await scene.reported();

    note(`all consume all, ${Math.round(ms)} ms after the last fault`);
    for (const { from, to, missing, reported } of streams.filter((each) => each.reported > 0)) {
      note(`${from} to ${to}: ${missing} lost, ${reported} reported`);
    }
    failure = broken(streams, {}).join(', ') || undefined;
  } catch (error) {
    failure = `${/** @type {Error} */ (error).stack}`;
  } finally {
    await scene?.close();
  }
  return { trace, failure };
}

async function main() {
  const reason = whyNot();

  if (reason !== undefined) {
    refuse(reason);
  }

  const { programs, acts, seconds } = await runSeeds(100, run);

  console.log(`${programs}, ${acts} acts and findings, in ${seconds}`);
}

exports.main = main;
