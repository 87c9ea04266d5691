'use strict';

// The clusters that are simulated, and what happens to each: one fault after the other, with time to recover between.

const { Simulation } = require('./Simulation');

/** @typedef {import('./Simulation').SimulatedHost} SimulatedHost */

/** Hosts are in four regions. One way, in ms. */
const LATENCY = [
  [0.2, 10, 40, 80],
  [10, 0.2, 40, 60],
  [40, 40, 0.2, 20],
  [80, 60, 20, 0.2],
];

/** How long the bus is down, and a third of the hosts cut off, in ms. */
const OUTAGE = 10_000;

/** How long recovery may take before it has failed, in ms. */
const PATIENCE = 60_000;

/** How long after some hosts the next ones restart, in ms. */
const RESTART = 3000;

/** How long the simulation runs between two checks for recovery, in ms. */
const STEP = 500;

/**
 * @typedef {object} Cluster
 * @property {string} name
 * @property {string} title
 * @property {number} hosts
 * @property {number} rate - messages per second of each DataProducer.
 * @property {(names: string[], random: InstanceType<typeof import('./Random').Random>) => Map<string, { rooms: string[], producers: number }>} plan
 * - which rooms each host joins, and how many DataProducers it has in each.
 */

/**
 * All hosts in one room, in which some have a DataProducer.
 *
 * @param {number} producers
 * @returns {Cluster['plan']}
 */
const oneRoom = (producers) => (names) => {
  const each = Math.max(1, Math.floor(names.length / producers));

  return new Map(
    names.map((name, index) => {
      const produces = index % each === 0 && index < each * producers;

      return [name, { rooms: [hash(0)], producers: Number(produces) }];
    }),
  );
};

/**
 * Rooms of three hosts each, all of which have a DataProducer.
 *
 * @param {number} count
 * @returns {Cluster['plan']}
 */
const smallRooms = (count) => (names, random) => {
  const plan = new Map(
    names.map((name) => [name, { rooms: /** @type {string[]} */ ([]), producers: 1 }]),
  );

  for (let room = 0; room < count; room += 1) {
    for (const name of random.sample(names, 3)) {
      plan.get(name)?.rooms.push(hash(room));
    }
  }
  return plan;
};

/**
 * @param {number} hosts
 * @param {number} subscribers - of each.
 * @returns {Cluster}
 */
const big = (hosts, subscribers) => ({
  name: `${hosts}x${subscribers}`,
  title: `a room on ${hosts} hosts × ${subscribers} subscribers, 20 DataProducers at 20/s`,
  hosts,
  rate: 20,
  plan: oneRoom(20),
});

/**
 * @param {number} hosts
 * @param {number} rooms
 * @returns {Cluster}
 */
const small = (hosts, rooms) => ({
  name: `${rooms}x3`,
  title: `${rooms} rooms on 3 of ${hosts} hosts each, 3 DataProducers at 1/s`,
  hosts,
  rate: 1,
  plan: smallRooms(rooms),
});

/** @param {number} room */
const hash = (room) => room.toString(16).padStart(32, '0');

/** The clusters, with as many hosts as are wanted; `hosts` is how many they have by default. */
const CLUSTERS = [
  {
    name: '50x2000',
    hosts: 50,
    of: (/** @type {number} */ hosts) => big(hosts, 2000),
  },
  {
    name: '1000x1000',
    hosts: 1000,
    of: (/** @type {number} */ hosts) => big(hosts, 1000),
  },
  {
    name: '10000x3',
    hosts: 300,
    of: (/** @type {number} */ hosts) => small(hosts, Math.round((100 * hosts) / 3)),
  },
];

/** What a host is to do, once it is up. */
class Runner {
  /** @type {Map<string, { rooms: string[], producers: number }>} */
  #plan;

  /**
   * @param {Cluster} cluster
   * @param {{ seed: number, lease: number, costs: any }} options
   */
  constructor(cluster, { seed, lease, costs }) {
    this.cluster = cluster;
    this.simulation = new Simulation({ seed, lease, costs, latency: LATENCY, rate: cluster.rate });
    this.names = Array.from({ length: cluster.hosts }, (_, index) => `host-${index}`);
    this.#plan = cluster.plan(this.names, this.simulation.random);
  }

  /** @param {string} name */
  start(name) {
    const { rooms, producers } = /** @type {any} */ (this.#plan.get(name));
    const { simulation } = this;
    const host = simulation.start(name);

    host.after(this.#joinsAfter, () => {
      for (const room of rooms) {
        host.join(room);
        for (let count = 0; count < producers; count += 1) {
          host.announce(room, simulation.random.uuid());
        }
      }
    });
  }

  /**
   * Starts hosts, one after the other, and resolves once they have joined their rooms.
   *
   * @param {readonly string[]} names
   * @param {number} ms - in all.
   */
  async startAll(names, ms) {
    for (const name of names) {
      this.start(name);
      await this.simulation.run(ms / names.length);
    }
    await this.simulation.run(this.#joinsAfter);
  }

  /** A host joins once it hears itself. */
  get #joinsAfter() {
    return this.simulation.options.lease / 5 + 100;
  }

  /** Waits until hosts know what there is, and have it. Returns whether they do. */
  async recover() {
    const { simulation } = this;
    const end = simulation.now + PATIENCE;

    do {
      await simulation.run(STEP);
      if (simulation.truth.errors() === 0 && simulation.alive.every((host) => host.waiting === 0)) {
        return true;
      }
    } while (simulation.now < end);
    return false;
  }

  /**
   * Some hosts die, one with a DataProducer among them.
   *
   * @param {number} part
   */
  async kill(part) {
    const { hosts, random } = this.simulation;
    const [first, ...others] = random.sample(this.names, this.names.length);
    const producing = [first, ...others].find((name) => hosts.get(name)?.producers.size) ?? first;
    const count = Math.max(1, Math.round(this.names.length * part));
    const victims = [...new Set([producing, first, ...others])].slice(0, count);

    for (const name of victims) {
      hosts.get(name)?.kill();
    }
    return victims;
  }
}

/**
 * A fault. `run` causes it, waits until it is over, and returns what restores the cluster after the measurement.
 *
 * @typedef {{ name: string, run: (runner: Runner) => Promise<(() => Promise<unknown>) | void> }} Fault
 */

/** @type {Fault[]} */
const FAULTS = [
  {
    name: 'bus down for 10 s',
    async run({ simulation, names }) {
      simulation.bus.down = true;
      // A fiftieth of the hosts announces something, which the others learn late.
      await simulation.run(OUTAGE / 2);
      for (const name of simulation.random.sample(names, Math.ceil(names.length / 50))) {
        simulation.hosts.get(name)?.announceAnother();
      }
      await simulation.run(OUTAGE / 2);
      simulation.bus.down = false;
      simulation.truth.since = simulation.now;
    },
  },
  {
    name: 'a third cut off for 10 s',
    async run({ simulation, names }) {
      const third = simulation.random.sample(names, Math.floor(names.length / 3));

      simulation.part(new Map(third.map((name) => [name, 1])));
      await simulation.run(OUTAGE);
      simulation.part(new Map());
      simulation.truth.since = simulation.now;
    },
  },
  {
    name: 'UDP of a third blocked for 10 s',
    async run({ simulation, names }) {
      const third = simulation.random.sample(names, Math.floor(names.length / 3));

      simulation.part(new Map(third.map((name) => [name, 1])), { bus: true });
      await simulation.run(OUTAGE);
      simulation.part(new Map());
    },
  },
  {
    name: 'rolling restart',
    async run(runner) {
      const { simulation, names } = runner;
      const batch = Math.max(1, Math.round(names.length / 20));

      for (let index = 0; index < names.length; index += batch) {
        for (const name of names.slice(index, index + batch)) {
          simulation.hosts.get(name)?.leave(() => runner.start(name));
        }
        await simulation.run(RESTART);
      }
    },
  },
  {
    name: '1 % of hosts killed',
    async run(runner) {
      const victims = await runner.kill(0.01);

      return () => runner.startAll(victims, 2000);
    },
  },
  {
    name: '10 % of hosts killed',
    async run(runner) {
      const victims = await runner.kill(0.1);

      return () => runner.startAll(victims, 10_000);
    },
  },
];

exports.CLUSTERS = CLUSTERS;
exports.FAULTS = FAULTS;
exports.Runner = Runner;
