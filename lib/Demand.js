'use strict';

const { EventEmitter } = require('node:events');

const { Table } = require('./Table');
const { emitSafely } = require('./EnhancedEventEmitter');

const { listenerCount } = EventEmitter.prototype;

/**
 * What the DataConsumers of one DataProducer want: how many there are, and the union of their subchannels. The union is
 * kept only while 'demand' has listeners.
 *
 * It reads no member that an application can override, because it runs within `close()`.
 */
class Demand {
  /** @type {import('./DataProducer').DataProducer<any>} */
  #dataProducer;
  /** @type {() => boolean} */
  #isClosed;
  /**
   * Functions that return the subchannels of each DataConsumer, by its id.
   *
   * @type {Table<string, () => Iterable<number>>}
   */
  #dataConsumers = new Table();
  #consumers = 0;
  /**
   * How many DataConsumers are subscribed to each subchannel of the union.
   *
   * @type {Map<number, number> | undefined}
   */
  #subscribers;
  /**
   * What was emitted last, or what there was when counting began.
   *
   * @type {import('..').DataProducerDemand | undefined}
   */
  #emitted;
  #due = false;

  /**
   * @param {import('./DataProducer').DataProducer<any>} dataProducer
   * @param {() => boolean} isClosed
   */
  constructor(dataProducer, isClosed) {
    this.#dataProducer = dataProducer;
    this.#isClosed = isClosed;
  }

  /** @returns {import('..').DataProducerDemand} */
  get now() {
    const union = this.#subscribers ?? count(this.#dataConsumers.values());

    return { consumers: this.#consumers, subchannels: sorted(union) };
  }

  /**
   * @param {string} id - of a DataConsumer.
   * @param {() => Iterable<number>} subchannels
   */
  add(id, subchannels) {
    this.#dataConsumers.set(id, subchannels);
    this.#change([], subchannels(), 1);
  }

  /** @param {string} id */
  remove(id) {
    const subchannels = this.#dataConsumers.take(id);

    if (subchannels) {
      this.#change(subchannels(), [], -1);
    }
  }

  /**
   * Notes that the subscriptions of a DataConsumer have changed.
   *
   * @param {Iterable<number>} before
   * @param {Iterable<number>} after
   */
  resubscribe(before, after) {
    this.#change(before, after, 0);
  }

  /**
   * @param {Iterable<number>} before
   * @param {Iterable<number>} after
   * @param {1 | 0 | -1} consumers - how many DataConsumers more there are.
   */
  #change(before, after, consumers) {
    const former = this.#consumers;

    this.#consumers += consumers;
    if (listenerCount.call(this.#dataProducer, 'demand') === 0) {
      this.#subscribers = this.#emitted = undefined;
      return;
    }
    if (this.#subscribers) {
      change(this.#subscribers, after, 1);
      change(this.#subscribers, before, -1);
    } else {
      this.#subscribers = count(this.#dataConsumers.values());

      const past = new Map(this.#subscribers);

      change(past, after, -1);
      change(past, before, 1);
      this.#emitted = { consumers: former, subchannels: sorted(past) };
    }
    if (!this.#due) {
      this.#due = true;
      // Changes of one synchronous run are emitted together.
      queueMicrotask(() => this.#emit());
    }
  }

  #emit() {
    this.#due = false;

    const { now } = this;

    if (!this.#isClosed() && !equal(now, this.#emitted)) {
      this.#emitted = now;
      emitSafely(this.#dataProducer, 'demand', [{ ...now, subchannels: [...now.subchannels] }]);
    }
  }
}

/**
 * @param {(() => Iterable<number>)[]} dataConsumers
 * @returns {Map<number, number>}
 */
function count(dataConsumers) {
  const subscribers = new Map();

  for (const subchannels of dataConsumers) {
    change(subscribers, subchannels(), 1);
  }
  return subscribers;
}

/** @param {Map<number, number>} subscribers */
function sorted(subscribers) {
  return [...subscribers.keys()].sort((a, b) => a - b);
}

/**
 * @param {Map<number, number>} subscribers
 * @param {Iterable<number>} subchannels
 * @param {1 | -1} by
 */
function change(subscribers, subchannels, by) {
  for (const subchannel of subchannels) {
    const number = (subscribers.get(subchannel) ?? 0) + by;

    if (number > 0) {
      subscribers.set(subchannel, number);
    } else {
      subscribers.delete(subchannel);
    }
  }
}

/**
 * @param {import('..').DataProducerDemand} now
 * @param {import('..').DataProducerDemand} [before]
 */
function equal(now, before) {
  return (
    before !== undefined &&
    now.consumers === before.consumers &&
    now.subchannels.length === before.subchannels.length &&
    now.subchannels.every((subchannel, index) => subchannel === before.subchannels[index])
  );
}

exports.Demand = Demand;
