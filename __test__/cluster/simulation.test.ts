import { CLUSTERS } from '../../bench/cluster/rooms';
import { measure, type Phase } from '../../bench/cluster/measure';

// The simulation of `npm run bench:cluster` with few hosts: what holds for each host and pair of hosts holds for many.

const LEASE = 5000;
/** The CPU time of a message, as measured, in ms. */
const COSTS = {
  send: { fixed: 0.003, perByte: 3e-6 },
  receive: { fixed: 0.0045, perByte: 6e-6 },
};
const BEAT = LEASE / 5;

/** Rooms of all hosts, and many rooms of three hosts, each with a number of hosts. */
const SHAPES: [string, number][] = [
  ['50x2000', 12],
  ['10000x3', 6],
];

test.each(SHAPES)('%s on %i hosts: all faults end as docs/cluster.md says', async (name, hosts) => {
  const shape = CLUSTERS.find((each) => each.name === name)!;
  const options = { seed: 7, lease: LEASE, costs: COSTS };
  const { phases, gateway } = await measure(shape.of(hosts), options);
  const phase = (start: string): Phase => phases.find((it) => it.name.startsWith(start))!;

  expect(phases.map((it) => it.name)).toEqual([
    'all join',
    'nothing happens',
    'bus down for 10 s',
    'a third cut off for 10 s',
    'UDP of a third blocked for 10 s',
    'rolling restart',
    '1 % of hosts killed',
    '10 % of hosts killed',
  ]);
  for (const { recovered, lost, loops } of phases) {
    expect([recovered, lost.unreported, lost.duplicates, loops]).toEqual([true, 0, 0, 0]);
  }
  for (const start of ['all join', 'nothing', 'bus down', 'rolling', '1 %', '10 %']) {
    expect([start, phase(start).closed, phase(start).lost.missed]).toEqual([start, 0, 0]);
  }
  expect(phase('UDP').lost.missed).toBeGreaterThan(0);
  expect(phase('a third').closed).toBeGreaterThan(0);
  for (const start of ['1 %', '10 %']) {
    expect(phase(start).delays.p50).toBeGreaterThan(LEASE - BEAT);
    expect(phase(start).delays.max).toBeLessThan(LEASE + BEAT + 200);
  }
  for (const start of ['bus down', 'a third']) {
    expect(phase(start).delays.max).toBeLessThan(2 * BEAT);
  }
  expect(gateway.copies).toBeGreaterThan(0);
});

test('what a host sends and receives grows with the number of hosts, and no faster', async () => {
  const shape = CLUSTERS.find((each) => each.name === '1000x1000')!;
  const options = { seed: 7, lease: LEASE, costs: COSTS, faults: /bus/ };
  for (const hosts of [20, 40]) {
    const { phases } = await measure(shape.of(hosts), options);
    const [, steady, bus] = phases as [Phase, Phase, Phase];
    // With 1,000 hosts that would be 64 KiB/s and 256 KiB/s.
    expect(steady.most.bytesSent).toBeLessThan(0.064 * 1024 * hosts + 1024);
    expect(steady.most.bytesReceived).toBeLessThan(0.256 * 1024 * hosts);
    // Beats aside, a few messages for each other host, not a few for each pair of hosts.
    expect(bus.mean.sent * bus.seconds).toBeLessThan(2 * hosts + bus.seconds);
  }
});
