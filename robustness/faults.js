'use strict';

// npm run robustness -- faults [--only=REGEX] [--bus=nats|redis] [--lease=5000] [--slack=500] [--json] [--list]
//
// Three hosts of a cluster in network namespaces, with a real bus, send to each other while one thing breaks: each row
// of the table of faults in docs/cluster.md, with the time that it took. Fails if a message comes twice or out of
// order, if more is lost than 'missed' says, if a host that the fault does not concern loses anything, or if something
// takes longer than promised. NATS has two servers, so that its own network can break too. Needs root or namespaces of
// users, nft, and the servers of both buses. --slack is what the machine may add to each time, in milliseconds.

const { setTimeout: sleep } = require('node:timers/promises');

const { markdown } = require('../bench/report/markdown');
const { readOptions, refuse } = require('../scripts/options');
const { whyNot } = require('./cluster/Net');
const { Scene, now } = require('./cluster/Scene');
const { broken } = require('./cluster/streams');

const PER_SECOND = 50;
const HOSTS = {
  nats: { a: 'bus1', b: 'bus2', c: 'bus2' },
  redis: { a: 'bus', b: 'bus', c: 'bus' },
};
const KINDS = /** @type {const} */ (['nats', 'redis']);

/** How many beats a lease has. */
const BEATS = 5;

/** The longest wait before a pipe is made again, and how long it takes until three have failed, in milliseconds. */
const PIPE = 5_000;
const THREE_PIPES = 15_000;

/**
 * @typedef {object} Times - in milliseconds.
 * @property {number} lease
 * @property {number} beat
 *
 * @typedef {object} Figure
 * @property {string} what
 * @property {number} ms
 * @property {number} within
 *
 * @typedef {object} Row
 * @property {string} name
 * @property {string} title
 * @property {readonly ('nats' | 'redis')[]} [kinds] - of the bus, if not all.
 * @property {string} unharmed - groups of hosts, one letter each, whose members lose nothing of each other.
 * @property {boolean} [unreported] - whether messages may be lost without 'missed', because a queue was full.
 * @property {(scene: Scene, times: Times) => Promise<Figure[]>} run - the fault is over at the end.
 */

/**
 * When hosts have lost sight of another one, or see it again.
 *
 * @param {Scene} scene
 * @param {string} event
 * @param {string} who - one letter each.
 * @param {string} about
 * @param {number} since
 * @param {number} within
 */
async function last(scene, event, who, about, since, within) {
  const found = await Promise.all(
    [...who].map((name) => scene.event(name, event, { since, within: within + 5_000, about })),
  );

  return { ms: Math.max(...found.map(({ at }) => at)) - since, args: found[0].args };
}

/**
 * When all other hosts have seen that the host of the DataProducer `id` has left.
 *
 * @param {Scene} scene
 * @param {string} id
 * @param {number} since
 * @returns {Promise<Figure>}
 */
async function goneAsLeft(scene, id, since) {
  const within = 1_000;
  const others = scene.alive.map(({ name }) => name).join('');
  const { ms, args } = await last(scene, 'gone', others, id, since, within);

  if (!args.includes('left')) {
    throw new Error(`the host left, but its DataProducers are gone for another reason: ${args}`);
  }
  return { what: 'its DataProducers close', ms, within };
}

/**
 * A host leaves. All others must have what it had sent.
 *
 * @param {Scene} scene
 * @param {string} name
 */
async function leave(scene, name) {
  const [id] = scene.member(name).ids;
  const since = now();
  const sent = await scene.leave(name);
  const figure = await goneAsLeft(scene, id, since);

  for (const member of scene.alive) {
    // Messages are numbered from 0.
    const received = ((await member.seen()).highest.get(id) ?? -1) + 1;

    if (received < sent) {
      throw new Error(`${sent - received} messages of host ${name}, which left, are lost`);
    }
  }
  await scene.kill(name);
  return figure;
}

/**
 * Ends a cut of the bus after 1.6 leases. Until then a has not heard what b announces.
 *
 * @param {Scene} scene
 * @param {number} lease
 * @param {() => void} heal
 * @returns {Promise<Figure[]>}
 */
async function newsAfter(scene, lease, heal) {
  const id = await scene.announce('b');

  await sleep(1.6 * lease);

  const since = now();
  const within = 2 * lease;

  heal();

  const { ms } = await last(scene, 'dataproducer', 'a', id, since, within);

  await scene.withdraw('b');
  return [{ what: 'news come', ms, within }];
}

/** @type {readonly Row[]} */
const ROWS = [
  {
    name: 'killed',
    title: 'a host dies',
    unharmed: 'ab',
    async run(scene, { lease, beat }) {
      const [id] = scene.member('c').ids;
      const since = now();
      const within = lease + beat;

      await scene.kill('c');

      const { ms } = await last(scene, 'gone', 'ab', id, since, within);

      await scene.start('c');
      return [{ what: 'its DataProducers close', ms, within }];
    },
  },
  {
    name: 'left',
    title: 'a host leaves',
    unharmed: 'ab',
    async run(scene) {
      const figure = await leave(scene, 'c');

      await scene.start('c');
      return [figure];
    },
  },
  {
    name: 'rolling',
    title: 'all hosts leave and start again, one by one',
    unharmed: 'abc',
    async run(scene, { lease }) {
      const figures = [];

      for (const name of 'abc') {
        figures.push(await leave(scene, name));
        await scene.start(name);
        await scene.settled(lease + PIPE);
      }

      const ms = Math.max(...figures.map((figure) => figure.ms));

      return [{ ...figures[0], ms }];
    },
  },
  {
    name: 'worker-died',
    title: 'the Worker of a Cluster dies',
    unharmed: 'ab',
    async run(scene) {
      const [id] = scene.member('c').ids;
      const since = now();

      await scene.panic('c');

      const figure = await goneAsLeft(scene, id, since);

      await scene.event('c', 'died', { since, within: 6_000 });
      // The Router of host c lives on.
      await scene.member('c').call('route');
      await scene.kill('c');
      await scene.start('c');
      return [figure];
    },
  },
  {
    name: 'restarted',
    title: 'a host restarts under its name',
    unharmed: 'ab',
    async run(scene, { beat }) {
      await scene.kill('c');

      const { ids } = await scene.start('c');
      const { events } = await scene.member('c').seen();
      const since = events.find(({ event }) => event === 'joined')?.at ?? 0;
      const { ms } = await last(scene, 'dataproducer', 'ab', ids[0], since, beat);

      return [{ what: 'its new DataProducers are seen', ms, within: beat }];
    },
  },
  {
    name: 'bus-down',
    title: 'the bus is down for two leases, and has no memory',
    unharmed: 'abc',
    async run(scene, { lease, beat }) {
      await scene.killBus();

      const id = await scene.announce('a');

      await sleep(2 * lease);

      const since = now();

      await scene.startBus();

      const { ms } = await last(scene, 'dataproducer', 'bc', id, since, beat);

      await scene.withdraw('a');
      return [{ what: 'news come', ms, within: beat }];
    },
  },
  {
    name: 'without-bus',
    title: 'one host has no bus for 1.6 leases',
    unharmed: 'abc',
    run: (scene, { lease }) => newsAfter(scene, lease, scene.cut(['a'], scene.servers)),
  },
  {
    name: 'bus-split',
    title: 'two servers of the bus have no contact for 1.6 leases',
    kinds: ['nats'],
    unharmed: 'abc',
    run: (scene, { lease }) => newsAfter(scene, lease, scene.cut(['bus1'], ['bus2'])),
  },
  {
    name: 'udp-short',
    title: 'UDP between two hosts is blocked for 0.3 leases',
    unharmed: 'abc',
    async run(scene, { lease }) {
      const heal = scene.cut(['a'], ['b'], { protocol: 'udp' });

      await sleep(0.3 * lease);
      heal();
      return [{ what: 'messages come', ms: await scene.settled(lease + PIPE), within: lease }];
    },
  },
  {
    name: 'udp-long',
    title: 'UDP between two hosts is blocked for two leases',
    unharmed: 'ac bc',
    async run(scene, { lease, beat }) {
      const heal = scene.cut(['a'], ['b'], { protocol: 'udp' });

      await sleep(2 * lease);
      heal();

      const ms = await scene.settled(lease + PIPE);

      for (const name of 'ab') {
        const { lives } = await scene.member(name).seen();

        if (lives.some(({ until }) => until !== undefined)) {
          throw new Error(`${name} has a DataConsumer that has closed`);
        }
      }
      // A path that breaks again soon waits longer before it is made again, which would delay the next row.
      await sleep(lease + beat);
      return [{ what: 'messages come', ms, within: PIPE }];
    },
  },
  {
    name: 'frozen',
    title: 'a process is frozen for 1.6 leases',
    unharmed: 'bc',
    async run(scene, { lease, beat }) {
      const [id] = scene.member('a').ids;
      const since = now();
      const within = lease + beat;

      scene.freeze('a', true);

      const { ms } = await last(scene, 'gone', 'bc', id, since, within);

      await sleep(Math.max(0, since + 1.6 * lease - now()));
      scene.freeze('a', false);
      return [
        { what: 'its DataProducers close', ms, within },
        { what: 'they are back', ms: await scene.settled(lease + PIPE), within: beat },
      ];
    },
  },
  {
    name: 'busy',
    title: "a host's event loop is blocked for 1.6 leases",
    unharmed: 'abc',
    async run(scene, { lease, beat }) {
      await scene.member('a').call('block', 1.6 * lease);
      await sleep(1.6 * lease);
      return [{ what: 'it goes on', ms: await scene.settled(lease + PIPE), within: beat }];
    },
  },
  {
    name: 'partition',
    title: 'a host and its server of the bus have no contact with the others for 1.6 leases',
    kinds: ['nats'],
    unharmed: 'bc',
    async run(scene, { lease, beat }) {
      const since = now();
      const within = lease + beat;
      const heal = scene.cut(['a', 'bus1'], ['b', 'c', 'bus2']);
      const gone = await Promise.all([
        last(scene, 'gone', 'bc', scene.member('a').ids[0], since, within),
        last(scene, 'gone', 'a', scene.member('b').ids[0], since, within),
        last(scene, 'gone', 'a', scene.member('c').ids[0], since, within),
      ]);

      await sleep(Math.max(0, since + 1.6 * lease - now()));
      heal();
      return [
        { what: 'each side loses the other', ms: Math.max(...gone.map(({ ms }) => ms)), within },
        {
          what: 'they are back',
          ms: await scene.settled(2 * lease + PIPE),
          within: 2 * lease + PIPE,
        },
      ];
    },
  },
  {
    name: 'isolated',
    title: 'a host has no network for 1.6 leases',
    unharmed: 'bc',
    async run(scene, { lease, beat }) {
      const since = now();
      const within = lease + beat;
      const heal = scene.cut(['a'], scene.others('a'));
      const { ms } = await last(scene, 'gone', 'bc', scene.member('a').ids[0], since, within);

      await sleep(Math.max(0, since + 1.6 * lease - now()));
      heal();
      return [
        { what: 'its DataProducers close', ms, within },
        {
          what: 'they are back',
          ms: await scene.settled(2 * lease + PIPE),
          within: 2 * lease + PIPE,
        },
      ];
    },
  },
  {
    name: 'full',
    title: 'a queue to a host is full',
    unharmed: 'ac bc',
    unreported: true,
    async run(scene, { lease }) {
      const heal = scene.cut(['a'], ['b'], { protocol: 'udp' });

      // 7.5 MB for a queue of 4 MiB, in bursts that host c keeps up with.
      for (let count = 0; count < 15; count += 1) {
        await scene.member('a').call('send', 5, 100_000);
        await scene.caughtUp('c', 'a');
      }
      heal();

      const ms = await scene.settled(lease + PIPE);
      const streams = await scene.streams();
      const missing = streams.find(({ from, to }) => from === 'a' && to === 'b')?.missing;
      const dropped = await scene.member('a').call('dropped');

      if (dropped === 0 || missing !== dropped) {
        throw new Error(`${missing} messages are missing, but ${dropped} were counted as dropped`);
      }
      return [{ what: 'messages come', ms, within: lease }];
    },
  },
  {
    name: 'later-release',
    title: 'a host is of a later major release',
    unharmed: 'ab',
    async run(scene, { beat }) {
      const since = now();

      await scene.member('c').call('skew');

      const { ms } = await last(scene, 'incompatible', 'ab', 'c', since, beat);

      await scene.kill('c');
      await scene.start('c');
      return [{ what: "'incompatible'", ms, within: beat }];
    },
  },
  {
    name: 'clock-back',
    title: 'a host restarts with its clock an hour back',
    unharmed: 'ab',
    async run(scene, { lease, beat }) {
      await scene.kill('c');

      const { ids } = await scene.start('c', { clock: -3_600_000 });
      const { events } = await scene.member('c').seen();
      const since = events.find(({ event }) => event === 'joined')?.at ?? 0;
      const within = lease + 2 * beat;
      const { ms } = await last(scene, 'dataproducer', 'ab', ids[0], since, within);

      return [{ what: 'its new DataProducers are seen', ms, within }];
    },
  },
  {
    name: 'udp-ends',
    title: 'UDP between two hosts is blocked for good',
    unharmed: 'ac bc',
    async run(scene, { lease, beat }) {
      const since = now();
      const within = lease + beat + THREE_PIPES;
      const heal = scene.cut(['a'], ['b'], { protocol: 'udp' });
      const found = await Promise.all([
        last(scene, 'carrier', 'a', 'b', since, within),
        last(scene, 'carrier', 'b', 'a', since, within),
      ]);
      const again = await scene.settled(lease);

      heal();
      return [
        { what: 'the bus carries', ms: Math.max(...found.map(({ ms }) => ms)), within },
        { what: 'messages come', ms: again, within: beat },
      ];
    },
  },
  {
    name: 'udp-never',
    title: 'UDP between two hosts has never worked',
    // On one bus only: the row takes long, and is the same on the other one.
    kinds: ['redis'],
    unharmed: 'ac',
    async run(scene, { lease }) {
      const within = THREE_PIPES;
      const heal = scene.cut(['a'], ['b'], { protocol: 'udp' });

      await scene.kill('b');
      await scene.start('b');

      const ms = await scene.settled(within + lease);

      heal();
      return [{ what: 'the bus carries', ms, within }];
    },
  },
];

/**
 * @param {Row} row
 * @param {Scene} scene
 * @param {number} slack
 */
async function runRow(row, scene, slack) {
  const { lease } = scene;

  await Promise.all(scene.alive.map((member) => member.call('begin')));

  const figures = await row.run(scene, { lease, beat: lease / BEATS });
  const late = figures.filter(({ ms, within }) => ms > within + slack);

  await scene.settled(lease + PIPE);
  return {
    figures,
    broken: [
      ...late.map(
        ({ what, ms, within }) => `${what} after ${Math.round(ms)} ms, not ${Math.round(within)}`,
      ),
      ...broken(await (row.unreported ? scene.streams() : scene.reported()), row),
    ],
  };
}

/**
 * @param {'nats' | 'redis'} kind
 * @param {readonly Row[]} rows
 * @param {number} lease
 * @param {number} slack
 */
async function runAll(kind, rows, lease, slack) {
  const results = [];
  /** @type {Scene | undefined} */
  let scene;

  for (const row of rows.filter(({ kinds = KINDS }) => kinds.includes(kind))) {
    const result = {
      name: row.name,
      title: row.title,
      kind,
      figures: /** @type {Figure[]} */ ([]),
    };

    process.stderr.write(`${kind}: ${row.title} …\n`);
    try {
      scene ??= await Scene.create({ kind, lease, perSecond: PER_SECOND, hosts: HOSTS[kind] });
      results.push({ ...result, ...(await runRow(row, scene, slack)) });
    } catch (error) {
      results.push({ ...result, broken: [`${/** @type {Error} */ (error).message}`] });
      // A row that has failed may leave the hosts in a state that breaks the next row.
      await scene?.close();
      scene = undefined;
    }
  }
  await scene?.close();
  return results;
}

async function main() {
  const { only, bus, lease, slack, json, list } = readOptions({
    only: { type: 'pattern', default: /(?:)/ },
    bus: { type: 'string' },
    lease: { type: 'integer', min: 500, default: 5_000 },
    slack: { type: 'integer', min: 0, default: 500 },
    json: { type: 'boolean' },
    list: { type: 'boolean' },
  });
  const rows = ROWS.filter(({ name }) => only.test(name));
  const reason = whyNot();

  if (bus !== undefined && !KINDS.includes(bus)) {
    refuse(`--bus must be one of ${KINDS.join(', ')} (got '${bus}')`);
  }
  if (list) {
    return rows.forEach(({ name, title }) => console.log(`${name.padEnd(14)} ${title}`));
  }
  if (reason !== undefined) {
    refuse(reason);
  }

  const kinds = KINDS.filter((kind) => bus === undefined || bus === kind);
  // Both kinds of bus run at the same time, as rows mostly wait.
  const results = (await Promise.all(kinds.map((kind) => runAll(kind, rows, lease, slack)))).flat();

  if (json) {
    results.forEach((result) => console.log(JSON.stringify(result)));
  } else {
    console.log(markdown(table(rows, kinds, results)));
  }
  for (const { title, kind, broken: found } of results) {
    found.forEach((what) => console.error(`${title}, ${kind}: ${what}`));
  }
  process.exitCode = results.some(({ broken: found }) => found.length > 0) ? 1 : 0;
}

/**
 * @param {readonly Row[]} rows
 * @param {readonly string[]} kinds
 * @param {{ name: string, kind: string, figures: Figure[] }[]} results
 */
function table(rows, kinds, results) {
  return [
    ['fault', 'what', 'promised, ms', ...kinds.map((kind) => `${kind}, ms`)],
    ...rows.flatMap(({ name, title }) => {
      const found = kinds.map((kind) =>
        results.find((result) => result.name === name && result.kind === kind),
      );
      const figures = found.find((result) => result && result.figures.length > 0)?.figures ?? [];

      return figures.map(({ what, within }, index) => [
        title,
        what,
        `${Math.round(within)}`,
        ...found.map((result) =>
          result ? `${Math.round(result.figures[index]?.ms ?? NaN)}` : '–',
        ),
      ]);
    }),
  ];
}

exports.KINDS = KINDS;
exports.ROWS = ROWS;
exports.main = main;
