'use strict';

// datasoup/cluster: from one host to many, all in this process. Their gateways are threads; what they exchange goes
// over UDP.

const path = require('node:path');

const { connectClients } = require('../clients/connect');
const { IMPL } = require('../implementation');
const { cpuOfWorker } = require('../measure');
const { Receiver, burst, paced, toProcesses } = require('../messages');
const { deliver, LISTEN, pipesByHand } = require('../references/pipes');
const { hasSocketIo, sockets } = require('../references/sockets');
const { sum } = require('../statistics');

/** In ms. Beats of many hosts in one process would cost it as much as messages do. */
const LEASE = 60_000;

const SIZES = [
  { size: 100, sizeName: '100 B' },
  { size: 1_024, sizeName: '1 KB' },
];
/** How many other hosts, and how many messages for each: as fast as it goes, and at a pace. */
const LOADS = [
  { hosts: 1, count: 100_000 },
  { hosts: 10, count: 10_000 },
  { hosts: 50, count: 2_000 },
  { hosts: 10, count: 200, perSecond: 50 },
  { hosts: 50, count: 200, perSecond: 50 },
];

/** Hosts with clients, and clients of each. */
const FLEET = { hosts: 3, clients: 100 };
/** Messages per second, and how many: where each comes alone, where some come together, and as fast as it goes. */
const PACES = [
  { perSecond: 50, count: 200 },
  { perSecond: 500, count: 2_000 },
  { perSecond: undefined, count: 2_000 },
];

/**
 * @typedef {object} BenchHost
 * @property {any} cluster
 * @property {any} gateway - its Worker.
 * @property {any} worker
 * @property {any} router
 * @property {any} room
 */

/**
 * Hosts that share a room.
 *
 * @param {any} api
 * @param {number} count
 * @returns {Promise<BenchHost[]>}
 */
async function startHosts(api, count) {
  const { createCluster, memoryBus } = require(path.join(IMPL, 'subpaths/cluster'));
  const bus = memoryBus();
  const secret = 'the hosts of a bench have no secrets';
  const hosts = [];

  for (let index = 0; index < count; index += 1) {
    /** @type {any} */
    let gateway;

    api.observer.once('newworker', (/** @type {any} */ worker) => (gateway = worker));

    const cluster = await createCluster({ bus, secret, listenInfo: LISTEN, lease: LEASE });
    const worker = await api.createWorker();
    const router = await worker.createRouter();

    hosts.push({
      cluster,
      gateway,
      worker,
      router,
      room: await cluster.join('room', { router }),
    });
  }
  return hosts;
}

/** @param {BenchHost[]} hosts */
async function closeHosts(hosts) {
  await Promise.all(hosts.map(({ cluster }) => cluster.close()));
  hosts.forEach(({ worker }) => worker.close());
}

/**
 * A direct DataProducer that all hosts see.
 *
 * @param {BenchHost[]} hosts - the first one has it.
 */
async function announce([first, ...others]) {
  const producer = await (await first.router.createDirectTransport()).produceData();
  const seen = others.map(
    ({ room }) => new Promise((resolve) => room.once('dataproducer', resolve)),
  );

  first.room.announce(producer);
  await Promise.all(seen);
  return producer;
}

/**
 * @param {{ hosts: number, count: number, perSecond?: number, size: number, sizeName: string }} options
 * @returns {import('../types').Row}
 */
function toHosts({ hosts: others, count, perSecond, size, sizeName }) {
  const pace = perSecond === undefined ? '' : `, ${perSecond}/s`;

  return {
    name: `cluster-${others}-${sizeName.replace(' ', '')}${perSecond === undefined ? '' : '-paced'}`,
    title: `direct → cluster → ${others} direct, ${sizeName}${pace}`,
    unit: 'message',
    mark: { ratio: 1.6, ...(perSecond === undefined ? {} : { p50Above: 1_000 }) },
    group: { name: 'cluster' },
    async prepare({ api, scale, fleet }) {
      const hosts = await startHosts(api, 1 + fleet(others));
      const producer = await announce(hosts);
      /** @type {Receiver[]} */
      const receivers = [];

      for (const { router, room } of hosts.slice(1)) {
        const transport = await router.createDirectTransport();
        const consumer = await room.consumeData(transport, { dataProducerId: producer.id });

        receivers.push(Receiver.of(consumer));
      }

      const load = { count: scale(count), size, perSecond };
      const [{ gateway: first }, ...rest] = hosts;

      return {
        run: () => withGatewayCpu(first, rest, () => deliver(producer, receivers, load)),
        reference: await pipesByHand(api, fleet(others), load),
        close: () => closeHosts(hosts),
      };
    },
  };
}

/**
 * Runs a load and adds the CPU time of the gateways: of the origin's per copy, and of the others' per message.
 *
 * @param {any} first
 * @param {BenchHost[]} others
 * @param {() => Promise<import('../types').Outcome>} load
 */
async function withGatewayCpu(first, others, load) {
  const cpu = () => [
    cpuOfWorker(first).micros,
    sum(others.map(({ gateway }) => cpuOfWorker(gateway).micros)),
  ];
  const before = cpu();
  const outcome = await load();
  const [copy, taken] = cpu().map((micros, index) => (micros - before[index]) / outcome.items);

  return { ...outcome, figures: { copy, taken } };
}

/**
 * @param {'socket.io' | 'nats'} kind - of the reference.
 * @param {{ size: number, sizeName: string, perSecond?: number, count: number }} load
 * @returns {import('../types').Row}
 */
function toClients(kind, { size, sizeName, perSecond, count: messages }) {
  const { hosts: count, clients: each } = FLEET;
  const pace = perSecond === undefined ? '' : `, ${perSecond}/s`;

  return {
    name: `cluster-clients-${kind}-${sizeName.replace(' ', '')}-${perSecond ?? 'unpaced'}`,
    title: `1 direct → ${count} hosts × ${each} light WebRTC, ${sizeName}${pace}`,
    unit: 'message',
    mark: kind === 'socket.io' ? { ratio: 0.2 } : undefined,
    group: { name: 'cluster' },
    clients: 'light',
    async prepare({ api, scale, fleet }) {
      const hosts = await startHosts(api, count);
      const producer = await announce(hosts);
      const clients = fleet(each);
      const fleets = await Promise.all(
        hosts.map(({ worker, router, room }) =>
          connectClients({
            worker,
            router,
            count: clients,
            light: true,
            async prepare(transport) {
              const options = { dataProducerId: producer.id };
              const consumer = await room.consumeData(transport, options);

              return consumer.sctpStreamParameters.streamId;
            },
          }),
        ),
      );
      const load = { count: scale(messages), size, perSecond };
      const send = (/** @type {Buffer} */ message) => producer.send(message);

      return {
        async run() {
          const latencies = perSecond !== undefined;

          await Promise.all(fleets.map((one) => one.ready({ latencies })));
          return toProcesses(load, {
            paced: () => paced({ send, ...load, perSecond: Number(perSecond) }),
            burst: (from, to) => burst({ send, from, to, size }),
            received: (number) => fleets.map((one) => one.received(number)),
          });
        },
        reference: await sockets({ kind, hosts: count, clients, load }),
        async close() {
          await closeHosts(hosts);
          await Promise.all(fleets.map((one) => one.close()));
        },
      };
    },
  };
}

module.exports = [
  ...LOADS.flatMap((load) => SIZES.map((size) => toHosts({ ...load, ...size }))),
  ...PACES.flatMap((pace) =>
    SIZES.flatMap((size) =>
      [
        ...(hasSocketIo() ? [/** @type {const} */ ('socket.io')] : []),
        /** @type {const} */ ('nats'),
      ].map((kind) => toClients(kind, { ...size, ...pace })),
    ),
  ),
];
