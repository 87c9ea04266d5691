'use strict';

// npm run robustness -- room [--clients=300] [--seconds=30] [--bus=nats|redis]
//
// A room that is larger than a host: three hosts of a cluster, each with that many WebRTC clients, and one DataProducer
// that sends 50 messages a second. A host is killed after a third of the time, with its clients, and another one is
// added. Fails if a client of another host loses a message. The clients are those of bench/clients/light (BENCH_CLIENTS
// is the path of the program), or of libdatachannel if they are few. Needs what `faults` needs.

const { setTimeout: sleep } = require('node:timers/promises');

const { buildLightClients } = require('../bench/clients/light');
const { readOptions, refuse } = require('../scripts/options');
const { whyNot } = require('./cluster/Net');
const { Scene } = require('./cluster/Scene');

const PER_SECOND = 50;
/** Up to this many clients of a host are of libdatachannel. */
const FEW = 20;
const LEASE = 2_000;

async function main() {
  const {
    clients,
    seconds,
    bus: kind,
  } = readOptions({
    clients: { type: 'integer', default: 300 },
    seconds: { type: 'integer', default: 30 },
    bus: { type: 'string', default: 'nats' },
  });
  const reason = whyNot();
  const light = clients > FEW;

  if (!['nats', 'redis'].includes(kind)) {
    refuse(`--bus must be nats or redis (got '${kind}')`);
  }
  if (reason !== undefined) {
    refuse(reason);
  }
  if (light) {
    process.env.BENCH_CLIENTS ??= buildLightClients('clients');
  }

  const hosts = { a: 'bus', b: 'bus', c: 'bus', d: 'bus' };
  const scene = await Scene.create({ kind, lease: LEASE, perSecond: 0, hosts, later: ['d'] });

  try {
    const count = seconds * PER_SECOND;
    const id = await scene.announce('a');

    for (const name of 'abc') {
      await scene.sees(name, id);
      await scene.member(name).call('connect', id, clients, light);
      console.log(`${clients} clients are connected to ${name}`);
    }

    const paced = scene.member('a').call('pace', count, PER_SECOND);
    const received = [...'ab'].map((name) => scene.member(name).call('received', count));

    await sleep((seconds * 1_000) / 3);
    await scene.kill('c');
    console.log('c is killed');
    await scene.start('d');
    await scene.sees('d', id);
    await scene.member('d').call('connect', id, clients, light);

    const before = await scene.member('a').call('sent');

    console.log(`${clients} clients are connected to d, before message ${before} of ${count}`);
    await paced;

    for (const [index, outcome] of (await Promise.all(received)).entries()) {
      const { items, lost, disordered } = outcome;

      console.log(`clients of ${'ab'[index]}: ${items} messages`);
      if (lost > 0 || disordered > 0) {
        throw new Error(`${lost} messages lost, ${disordered} out of order`);
      }
    }

    const late = await scene.member('d').call('received', count - before);

    console.log(`clients of d: ${late.items} messages`);
    if (before === count) {
      throw new Error('clients of d were connected too late: this needs more --seconds');
    }
    // They began in the middle: each first message had another number than expected, and none after it.
    if (late.lost > 0 || late.disordered > clients) {
      throw new Error(`clients of d: ${late.lost} messages lost, ${late.disordered} out of order`);
    }
  } finally {
    await scene.close();
  }
}

exports.main = main;
