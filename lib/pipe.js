'use strict';

const { coreOf } = require('./Entity');
const { NotFoundError } = require('./errors');

/** @typedef {import('./DataProducer').DataProducer<any>} DataProducer */
/** @typedef {import('./PipeTransport').PipeTransport<any>} PipeTransport */
/** @typedef {import('./Router').Router<any>} Router */

/**
 * @typedef {object} Pair - the PipeTransports between two routers.
 * @property {Router} router - the one that the first of them belongs to.
 * @property {Promise<[PipeTransport, PipeTransport]>} transports
 * @property {() => boolean} gone - whether they exist no more. It is forgotten then, but that comes after the last
 * events of what it carried, whose listeners may pipe again.
 */

/**
 * The pairs that exist or are being made, under both of their routers.
 *
 * @type {WeakMap<Router, WeakMap<Router, Pair>>}
 */
const pairs = new WeakMap();

/**
 * `router.pipeToRouter()`, with its arguments checked.
 *
 * @param {object} options
 * @param {DataProducer} options.dataProducer
 * @param {Router} options.from - its router.
 * @param {Router} options.to
 * @param {boolean} options.keepId
 * @param {any} options.transportOptions - of `createPipeTransport()`, if there is no pair yet.
 * @returns {Promise<Required<import('..').PipeToRouterResult>>}
 */
async function pipeDataProducer({ dataProducer, from, to, keepId, transportOptions }) {
  const [here, there] = await transportsBetween(from, to, transportOptions);
  const pipeDataConsumer = await here.consumeData({ dataProducerId: dataProducer.id });
  const pipeDataProducer = await there
    .produceData({
      id: keepId ? dataProducer.id : undefined,
      sctpStreamParameters: pipeDataConsumer.sctpStreamParameters,
      label: pipeDataConsumer.label,
      protocol: pipeDataConsumer.protocol,
      appData: dataProducer.appData,
    })
    .catch((error) => {
      pipeDataConsumer.close();
      throw error;
    });

  if (dataProducer.closed || pipeDataConsumer.closed || pipeDataProducer.closed) {
    pipeDataConsumer.close();
    pipeDataProducer.close();
    throw new NotFoundError(`DataProducer with id "${dataProducer.id}" closed meanwhile`);
  }
  mirrorClose(pipeDataConsumer, pipeDataProducer);
  return { pipeDataConsumer, pipeDataProducer };
}

/**
 * The pair of transports between two routers, made by whoever asks first.
 *
 * @param {Router} from
 * @param {Router} to
 * @param {any} transportOptions
 * @returns {Promise<[here: PipeTransport, there: PipeTransport]>}
 */
async function transportsBetween(from, to, transportOptions) {
  let pair = pairs.get(from)?.get(to);

  if (!pair || pair.gone()) {
    const transports = connectedTransports(from, to, transportOptions);
    let gone = () => false;

    transports.then(
      ([first, second]) => (gone = () => first.closed || second.closed),
      () => {},
    );
    pair = { router: from, transports, gone: () => gone() };
    remember(from, to, pair);
    remember(to, from, pair);
    forgetWhenGone(from, to, pair);
  }

  const [first, second] = await pair.transports;

  return pair.router === from ? [first, second] : [second, first];
}

/**
 * @param {Router} from
 * @param {Router} to
 * @param {any} transportOptions
 * @returns {Promise<[PipeTransport, PipeTransport]>}
 */
async function connectedTransports(from, to, transportOptions) {
  const created = await Promise.allSettled([
    from.createPipeTransport(transportOptions),
    to.createPipeTransport(transportOptions),
  ]);
  const transports = created.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []));
  const failure = created.find((one) => one.status === 'rejected');

  try {
    if (failure) {
      throw failure.reason;
    }

    const [first, second] = transports;
    // They meet at the address listened on, whatever is announced.
    const ip = connectable(transportOptions.listenInfo.ip);

    // Both are in this process, so what they carry goes from thread to thread, past the network.
    await Promise.all([tunnel(first, second), tunnel(second, first)]);
    await Promise.all([
      first.connect({ ip, port: second.tuple.localPort }),
      second.connect({ ip, port: first.tuple.localPort }),
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
function remember(from, to, pair) {
  const others = pairs.get(from) ?? new WeakMap();

  others.set(to, pair);
  pairs.set(from, others);
}

/**
 * @param {Router} from
 * @param {Router} to
 * @param {Pair} pair
 */
function forgetWhenGone(from, to, pair) {
  const forget = () => {
    // Another pair may have its place.
    if (pairs.get(from)?.get(to) === pair) {
      pairs.get(from)?.delete(to);
      pairs.get(to)?.delete(from);
    }
  };

  pair.transports.then(([first]) => coreOf(first).onClosed(forget), forget);
}

/**
 * When one of them has closed, so does the other one.
 *
 * @param {import('./Entity').Entity<any, any, any>} one
 * @param {import('./Entity').Entity<any, any, any>} other
 */
function mirrorClose(one, other) {
  coreOf(one).onClosed(() => other.close());
  coreOf(other).onClosed(() => one.close());
}

/**
 * @param {string} ip - listened on.
 * @returns {string} one that reaches it from this machine.
 */
function connectable(ip) {
  if (ip === '0.0.0.0') {
    return '127.0.0.1';
  }
  return ip === '::' ? '::1' : ip;
}

exports.pipeDataProducer = pipeDataProducer;
