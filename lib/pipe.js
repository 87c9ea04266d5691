'use strict';

const { isIPv4 } = require('node:net');

const { coreOf } = require('./Entity');
const { consumePiped, producePiped } = require('./Transport');
const { NotFoundError } = require('./errors');
const { isUnspecified } = require('./options/address');

/** @typedef {import('./DataProducer').DataProducer<any>} DataProducer */
/** @typedef {import('./PipeTransport').PipeTransport<any>} PipeTransport */
/** @typedef {import('./Router').Router<any>} Router */

/**
 * @typedef {object} Setup - how to make the PipeTransports of a pair.
 * @property {string} ip - the address on which both PipeTransports listen.
 * @property {(router: Router) => Promise<PipeTransport>} createPipeTransport
 */

/**
 * @typedef {object} Pair - the PipeTransports between two routers.
 * @property {Router} router - the router of the first PipeTransport.
 * @property {Promise<[PipeTransport, PipeTransport]>} transports
 * @property {() => boolean} closed - whether one of the PipeTransports is closed. A closed pair leaves `pairs` only
 * after the last events of what it carried, and the listeners of those events may pipe again.
 */

/**
 * The pairs that exist or are being made. Each is stored under both of its routers, so that either finds it.
 *
 * @type {WeakMap<Router, WeakMap<Router, Pair>>}
 */
const pairs = new WeakMap();

/**
 * @typedef {object} Piping - what to pipe where, and how.
 * @property {DataProducer} dataProducer
 * @property {Router} from - the router of the DataProducer.
 * @property {Router} to
 * @property {boolean} keepId
 * @property {import('..').DataConsumerOverflow} [overflow]
 * @property {number} [maxBufferedAmount]
 */

/**
 * Does the work of `router.pipeToRouter()`, with parsed options.
 *
 * @param {Setup & Piping} options
 * @returns {Promise<Required<import('..').PipeToRouterResult>>}
 */
async function pipeDataProducer(options) {
  const { dataProducer, from, to, keepId, overflow, maxBufferedAmount, ...setup } = options;
  const [here, there] = await transportsBetween(from, to, setup);
  const { retain } = dataProducer;
  const consumed = { dataProducerId: dataProducer.id, overflow, maxBufferedAmount };
  // Messages that come before the far end's DataProducer exists would be dropped.
  const { dataConsumer: pipeDataConsumer, start } = await consumePiped(here, consumed);
  const produced = {
    id: keepId ? dataProducer.id : undefined,
    sctpStreamParameters: pipeDataConsumer.sctpStreamParameters,
    label: pipeDataConsumer.label,
    protocol: pipeDataConsumer.protocol,
    retain,
    appData: dataProducer.appData,
  };
  const { dataProducerPaused } = pipeDataConsumer;
  const pipeDataProducer = await producePiped(there, produced, dataProducerPaused).catch(
    (error) => {
      pipeDataConsumer.close();
      throw error;
    },
  );

  const closed = () => dataProducer.closed || pipeDataConsumer.closed || pipeDataProducer.closed;

  if (!closed()) {
    mirrorClose(pipeDataConsumer, pipeDataProducer);
    // Messages that come before the worker has started it are lost. The DataConsumer may close meanwhile.
    await start().catch(() => {});
  }
  if (closed()) {
    pipeDataConsumer.close();
    pipeDataProducer.close();
    throw new NotFoundError(`DataProducer with id "${dataProducer.id}" closed while being piped`);
  }
  return { pipeDataConsumer, pipeDataProducer };
}

/**
 * Returns the pair of transports between two routers. The first call, in either direction, makes the pair.
 *
 * @param {Router} from
 * @param {Router} to
 * @param {Setup} setup
 * @returns {Promise<[here: PipeTransport, there: PipeTransport]>}
 */
async function transportsBetween(from, to, setup) {
  let pair = pairs.get(from)?.get(to);

  if (!pair || pair.closed()) {
    pair = makePair(from, to, setup);
  }

  const [first, second] = await pair.transports;

  return pair.router === from ? [first, second] : [second, first];
}

/**
 * @param {Router} from
 * @param {Router} to
 * @param {Setup} setup
 * @returns {Pair}
 */
function makePair(from, to, setup) {
  const transports = connectedTransports(from, to, setup);
  let closed = () => false;
  /** @type {Pair} */
  const pair = { router: from, transports, closed: () => closed() };
  const remove = () => {
    // Another pair may have taken the place of this one.
    if (pairs.get(from)?.get(to) === pair) {
      pairs.get(from)?.delete(to);
      pairs.get(to)?.delete(from);
    }
  };

  add(from, to, pair);
  add(to, from, pair);
  transports.then(([first, second]) => {
    closed = () => first.closed || second.closed;
    coreOf(first).onClosed(remove);
  }, remove);
  return pair;
}

/**
 * @param {Router} from
 * @param {Router} to
 * @param {Setup} setup
 * @returns {Promise<[PipeTransport, PipeTransport]>}
 */
async function connectedTransports(from, to, { ip, createPipeTransport }) {
  const created = await Promise.allSettled([createPipeTransport(from), createPipeTransport(to)]);
  const transports = created.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []));
  const failure = created.find((one) => one.status === 'rejected');

  try {
    if (failure) {
      throw failure.reason;
    }

    const [first, second] = transports;
    // The transports connect to the listening address, because an announced one may not lead back to this machine.
    const reachable = reachableIp(ip);

    // Both transports are in this process: their messages go from thread to thread, past the network.
    await Promise.all([tunnel(first, second), tunnel(second, first)]);
    await Promise.all([
      first.connect({ ip: reachable, port: second.tuple.localPort }),
      second.connect({ ip: reachable, port: first.tuple.localPort }),
    ]);
    mirrorClose(first, second);
    return [first, second];
  } catch (error) {
    for (const transport of transports) {
      transport.close();
    }
    throw error;
  }
}

/**
 * @param {PipeTransport} near
 * @param {PipeTransport} far
 */
async function tunnel(near, far) {
  const { native } = coreOf(far);

  await coreOf(near).request('pipeTransport.tunnel', (/** @type {any} */ transport, id) =>
    transport.tunnel(id, native),
  );
}

/**
 * @param {Router} from
 * @param {Router} to
 * @param {Pair} pair
 */
function add(from, to, pair) {
  const others = pairs.get(from) ?? new WeakMap();

  others.set(to, pair);
  pairs.set(from, others);
}

/**
 * Makes each of two entities close when the other has closed.
 *
 * @param {import('./Entity').Entity<any, any, any>} one
 * @param {import('./Entity').Entity<any, any, any>} other
 */
function mirrorClose(one, other) {
  coreOf(one).onClosed(() => coreOf(other).close());
  coreOf(other).onClosed(() => coreOf(one).close());
}

/**
 * @param {string} ip - the address on which a transport listens.
 * @returns {string} an address that reaches the transport from this machine.
 */
function reachableIp(ip) {
  if (!isUnspecified(ip)) {
    return ip;
  }
  return isIPv4(ip) ? '127.0.0.1' : '::1';
}

exports.pipeDataProducer = pipeDataProducer;
