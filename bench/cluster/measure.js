'use strict';

// Runs a cluster through its faults, and says what each did.

const { GATEWAY } = require('./costs');
const { FAULTS, Runner } = require('./rooms');

/** @typedef {import('./rooms').Cluster} Cluster */
/** @typedef {import('./Simulation').Simulation} Simulation */

/** How long the steady state is measured, in ms. */
const STEADY = 30_000;

/** How many hosts join per second at the beginning. */
const JOINS = 50;

/**
 * @typedef {object} Phase
 * @property {string} name
 * @property {number} seconds
 * @property {boolean} recovered - whether all hosts know what there is, and have it.
 * @property {{ p50: number, p99: number, max: number }} delays - until a host knew of a change, in ms.
 * @property {Traffic} mean - of each host.
 * @property {Traffic} most - of the host that has most.
 * @property {{ messages: number, bytes: number, load: number }} bus - deliveries per second, and the part of a server.
 * @property {number} cpu - the part of its JavaScript thread that the busiest host needs for control messages.
 * @property {number} closed - paths that ended although their DataProducers lived.
 * @property {number} wrong - how often a host believed what was not so.
 * @property {{ missed: number, reported: number, unreported: number, duplicates: number }} lost
 * @property {number} loops
 */

/** @typedef {{ sent: number, received: number, bytesSent: number, bytesReceived: number }} Traffic Per second. */

/**
 * @typedef {object} Result
 * @property {string} name
 * @property {string} title
 * @property {number} hosts
 * @property {Phase[]} phases
 * @property {{ copies: number, left: number, entered: number, cpu: number }} gateway - of the busiest one: messages per
 * second, and the part of a core.
 * @property {number} pipes
 * @property {number} paths
 */

/**
 * @param {Cluster} cluster
 * @param {{ seed: number, lease: number, costs: any, faults?: RegExp, onPhase?: (phase: Phase) => void }} options
 * @returns {Promise<Result>}
 */
async function measure(cluster, { faults = /(?:)/, onPhase = () => {}, ...options }) {
  const runner = new Runner(cluster, options);
  const { simulation } = runner;
  /** @type {Phase[]} */
  const phases = [];
  const phase = async (/** @type {string} */ name, /** @type {() => Promise<boolean>} */ run) => {
    const before = snapshot(simulation);
    const recovered = await run();

    phases.push(difference(name, recovered, before, simulation));
    onPhase(phases[phases.length - 1]);
  };

  await phase('all join', async () => {
    await runner.startAll(runner.names, (1000 * cluster.hosts) / JOINS);
    return runner.recover();
  });
  // Waits until nothing is under way.
  await simulation.run(options.lease);
  await phase('nothing happens', async () => {
    await simulation.run(STEADY);
    return simulation.truth.errors() === 0;
  });

  const gateway = busiest(simulation);
  const pipes = sum(simulation.alive.map(({ plane }) => plane.pipes.size)) / 2;
  const paths = sum(simulation.alive.map(({ sessions }) => sessions.size));

  for (const fault of FAULTS.filter(({ name }) => faults.test(name))) {
    /** @type {(() => Promise<unknown>)[]} */
    const after = [];

    await phase(fault.name, async () => {
      simulation.truth.since = simulation.now;
      after.push((await fault.run(runner)) ?? (async () => {}));
      return runner.recover();
    });
    await after[0]();
    await runner.recover();
    await simulation.run(options.lease);
  }
  return { ...cluster, phases, gateway, pipes, paths };
}

/** @param {Simulation} simulation */
function snapshot(simulation) {
  const { now, bus, truth, loops } = simulation;

  truth.delays = [];
  return {
    now,
    hosts: new Map([...simulation.hosts.values()].map((host) => [host, ofHost(host)])),
    bus: { messages: bus.delivered.messages, bytes: bus.delivered.bytes, work: bus.work },
    wrong: truth.wrong,
    loops,
    ...simulation.totals(),
  };
}

/** @param {import('./Simulation').SimulatedHost} host */
function ofHost({ sent, received, cpu }) {
  return {
    sent: sent.messages,
    received: received.messages,
    bytesSent: sent.bytes,
    bytesReceived: received.bytes,
    cpu,
  };
}

/** @typedef {ReturnType<typeof ofHost>} HostCounters */

/** @type {HostCounters} */
const NONE = { sent: 0, received: 0, bytesSent: 0, bytesReceived: 0, cpu: 0 };

/**
 * @param {string} name
 * @param {boolean} recovered
 * @param {ReturnType<typeof snapshot>} before
 * @param {Simulation} simulation
 * @returns {Phase}
 */
function difference(name, recovered, before, simulation) {
  const { bus, truth, now } = simulation;
  const seconds = (now - before.now) / 1000;
  const delays = truth.delays;
  const after = simulation.totals();
  const hosts = [...simulation.hosts.values()].map((host) => {
    const was = before.hosts.get(host) ?? NONE;
    const is = ofHost(host);

    return {
      sent: (is.sent - was.sent) / seconds,
      received: (is.received - was.received) / seconds,
      bytesSent: (is.bytesSent - was.bytesSent) / seconds,
      bytesReceived: (is.bytesReceived - was.bytesReceived) / seconds,
      cpu: (is.cpu - was.cpu) / 1000 / seconds,
    };
  });
  const each = (/** @type {keyof HostCounters} */ key) => hosts.map((host) => host[key]);
  const traffic = (/** @type {(values: number[]) => number} */ of) => ({
    sent: of(each('sent')),
    received: of(each('received')),
    bytesSent: of(each('bytesSent')),
    bytesReceived: of(each('bytesReceived')),
  });

  return {
    name,
    seconds,
    recovered,
    delays: quantiles(delays),
    mean: traffic((values) => sum(values) / values.length),
    most: traffic(largest),
    bus: {
      messages: (bus.delivered.messages - before.bus.messages) / seconds,
      bytes: (bus.delivered.bytes - before.bus.bytes) / seconds,
      load: (bus.work - before.bus.work) / 1000 / seconds,
    },
    cpu: largest(each('cpu')),
    closed: after.closed - before.closed,
    wrong: truth.wrong - before.wrong,
    lost: {
      missed: after.missed - before.missed,
      reported: after.reported - before.reported,
      unreported: after.unreported - before.unreported,
      duplicates: after.duplicates - before.duplicates,
    },
    loops: simulation.loops - before.loops,
  };
}

/**
 * What the busiest gateway has to do.
 *
 * @param {Simulation} simulation
 */
function busiest(simulation) {
  const loads = simulation.alive.map(({ plane }) => {
    const { copies, left, entered } = plane.load();
    const micros = copies * GATEWAY.copy + left * GATEWAY.leave + entered * GATEWAY.enter;

    return { copies, left, entered, cpu: micros / 1e6 };
  });

  return loads.reduce((most, load) => (load.cpu > most.cpu ? load : most));
}

/** @param {number[]} values */
function quantiles(values) {
  const sorted = Float64Array.from(values).sort();
  const at = (/** @type {number} */ part) =>
    sorted[Math.min(sorted.length - 1, Math.floor(part * sorted.length))] ?? 0;

  return { p50: at(0.5), p99: at(0.99), max: at(1) };
}

/** @param {number[]} values */
const sum = (values) => values.reduce((total, value) => total + value, 0);

/** @param {number[]} values */
const largest = (values) => values.reduce((most, value) => Math.max(most, value), 0);

exports.measure = measure;
