'use strict';

// npm run bench:cluster -- [--clusters=REGEX] [--faults=REGEX] [--seed=1] [--lease=5000] [--quick | --smoke] [--json]
//
// Simulates rooms of many hosts: the protocol of datasoup/cluster in virtual time, over a bus, a network and pipes that
// are computed, with costs that were measured. bench/README.md explains the figures. Takes about half an hour; --quick
// has a tenth of the hosts. A process that has to know 1,000 hosts a thousand times takes 6 GB of memory:
// NODE_OPTIONS=--max-old-space-size=8000

const { readOptions } = require('../../scripts/options');
const { markdown } = require('../report/markdown');
const { number } = require('../report/table');
const { measureControl } = require('./costs');
const { BUSY, LATE, levels } = require('./levels');
const { measure } = require('./measure');
const { CLUSTERS } = require('./rooms');

/** @typedef {import('./measure').Phase} Phase */
/** @typedef {import('./measure').Result} Result */

/** KiB per second of each host, while nothing happens. */
const MARKS = { sent: 64, received: 256 };

/** How long it may take until hosts know that others are gone, in s. */
const MARK_KILLED = 10;

const COLUMNS = [
  'phase',
  'known after p50 / p99 / max s',
  'control messages/s of a host: sent, received (most)',
  'KiB/s of a host: sent, received (most)',
  'bus: deliveries/s, KiB/s',
  'JavaScript of the busiest host',
  'paths that closed',
  'lost: true, reported',
  'doubled, loops',
];

async function main() {
  const { clusters, faults, seed, lease, quick, smoke, json } = readOptions({
    clusters: { type: 'pattern', default: /(?:)/ },
    faults: { type: 'pattern', default: /(?:)/ },
    seed: { type: 'integer', default: 1 },
    lease: { type: 'integer', default: 5000 },
    quick: { type: 'boolean' },
    smoke: { type: 'boolean' },
    json: { type: 'boolean' },
  });
  const costs = measureControl();
  let failed = false;

  for (const cluster of CLUSTERS.filter(({ name }) => clusters.test(name))) {
    const size = smoke ? cluster.hosts / 50 : quick ? cluster.hosts / 10 : cluster.hosts;
    const result = await measure(cluster.of(Math.max(6, size)), {
      seed,
      lease,
      costs,
      faults,
      onPhase: ({ name }) => process.stderr.write(`${cluster.name}: ${name}\n`),
    });

    console.log(json ? JSON.stringify(result) : textOf(result));
    failed ||= result.phases.some((phase) => isWrong(phase));
  }
  if (!json) {
    console.log(levelsText());
  }
  if (failed) {
    process.exitCode = 1;
  }
}

/**
 * Whether a promise of the protocol was broken.
 *
 * @param {Phase} phase
 */
function isWrong({ recovered, lost, loops }) {
  return !recovered || lost.unreported > 0 || lost.duplicates > 0 || loops > 0;
}

/** @param {Result} result */
function textOf({ title, phases, gateway, pipes, paths }) {
  const { copies, left, cpu } = gateway;

  return [
    `## ${title}`,
    '',
    markdown([COLUMNS, ...phases.map(cells)]),
    '',
    `${number(pipes)} pipes, ${number(paths)} paths. The busiest gateway sends ${number(copies)} and takes ${number(left)} messages/s: ${percent(cpu)} of a core.`,
    ...marksOf(phases),
    ...phases
      .filter(isWrong)
      .map(({ name }) => `**${name}: a promise of the protocol was broken.**`),
    '',
  ].join('\n');
}

/** @param {Phase} phase */
function cells({ name, delays, mean, most, bus, cpu, closed, lost, loops }) {
  const seconds = [delays.p50, delays.p99, delays.max].map((each) => number(each / 1000));

  return [
    name,
    delays.max > 0 ? seconds.join(' / ') : '–',
    `${number(mean.sent)}, ${number(mean.received)} (${number(most.received)})`,
    `${kib(mean.bytesSent)}, ${kib(mean.bytesReceived)} (${kib(most.bytesReceived)})`,
    `${number(bus.messages)}, ${kib(bus.bytes)}`,
    percent(cpu),
    `${closed}`,
    `${lost.missed}, ${lost.reported}`,
    `${lost.duplicates}, ${loops}`,
  ];
}

/** @param {Phase[]} phases */
function marksOf(phases) {
  const steady = phases.find(({ name }) => name === 'nothing happens');
  const killed = phases.find(({ name }) => name.startsWith('10 %'));
  const verdict = (/** @type {boolean} */ kept) => (kept ? 'yes' : 'no');
  const lines = [];

  if (steady) {
    const { bytesSent, bytesReceived } = steady.most;
    const kept = bytesSent / 1024 <= MARKS.sent && bytesReceived / 1024 <= MARKS.received;

    lines.push(
      `Mark: at most ${MARKS.sent} KiB/s sent and ${MARKS.received} received per host while nothing happens: ${verdict(kept)}.`,
    );
  }
  if (killed) {
    const kept = killed.recovered && killed.delays.p99 <= MARK_KILLED * 1000;

    lines.push(`Mark: ${killed.name}, known within ${MARK_KILLED} s (p99): ${verdict(kept)}.`);
  }
  return lines;
}

function levelsText() {
  const { busy, late } = levels();
  const head = ['messages/s of a host', 'hosts', 'of 1,000 hosts: one level', 'two levels'];
  const rows = busy.map(({ rate, hosts, cpuOfThousand, cpuOfThousandInTwo }) => [
    `${rate}`,
    number(hosts),
    percent(cpuOfThousand),
    percent(cpuOfThousandInTwo),
  ]);

  return [
    '## A second level of copies',
    '',
    `It pays when the copies of what one host's DataProducers send take over ${percent(BUSY)} of its gateway's core:`,
    '',
    markdown([head, ...rows]),
    '',
    `The last copy leaves ${LATE / 1000} ms earlier with it from ${number(late)} hosts on.`,
  ].join('\n');
}

/** @param {number} bytes */
const kib = (bytes) => number(bytes / 1024);

/** @param {number} part */
const percent = (part) => `${number(100 * part)} %`;

if (require.main === module) {
  main();
}
