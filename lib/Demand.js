'use strict';

const { Table } = require('./Table');
const { emitSafely } = require('./EnhancedEventEmitter');

/** @typedef {import('./DataConsumer').DataConsumer<any>} DataConsumer */

/**
 * What the DataConsumers of one DataProducer want: how many there are, and the union of their subchannels. The union is
 * kept only while 'demand' has listeners.
 */
class Demand {
  /** @type {import('./DataProducer').DataProducer<any>} */
  #dataProducer;
  /** @type {Table<string, DataConsumer>} */
  #dataConsumers = new Table();
  #consumers = 0;
  /**
   * How many DataConsumers are subscribed to each subchannel of the union.
   *
   * @type {Map<number, number> | undefined}
   */
  #subscribers;
  /**
   * What was emitted last.
   *
   * @type {import('..').DataProducerDemand | undefined}
   */
  #emitted;
  #due = false;

  /** @param {import('./DataProducer').DataProducer<any>} dataProducer */
  constructor(dataProducer) {
    this.#dataProducer = dataProducer;
  }

  /** @returns {import('..').DataProducerDemand} */
  get now() {
    const union = this.#subscribers ?? count(this.#dataConsumers.values());

    return {
      consumers: this.#consumers,
      subchannels: [...union.keys()].sort((a, b) => a - b),
    };
  }

  /** @param {DataConsumer} dataConsumer */
  add(dataConsumer) {
    this.#dataConsumers.set(dataConsumer.id, dataConsumer);
    this.#consumers++;
    this.resubscribe([], dataConsumer.subchannels);
  }

  /** @param {DataConsumer} dataConsumer */
  remove(dataConsumer) {
    this.#dataConsumers.take(dataConsumer.id);
    this.#consumers--;
    this.resubscribe(dataConsumer.subchannels, []);
  }

  /**
   * Notes that one of the DataConsumers has other subscriptions than before.
   *
   * @param {Iterable<number>} before
   * @param {Iterable<number>} after
   */
  resubscribe(before, after) {
    if (this.#dataProducer.listenerCount('demand') === 0) {
      this.#subscribers = this.#emitted = undefined;
      return;
    }
    if (this.#subscribers) {
      change(this.#subscribers, after, 1);
      change(this.#subscribers, before, -1);
    } else {
      this.#subscribers = count(this.#dataConsumers.values());
    }
    if (!this.#due) {
      this.#due = true;
      // The changes of one macrotask are emitted together.
      queueMicrotask(() => this.#emit());
    }
  }

  #emit() {
    this.#due = false;

    const { now } = this;

    if (!this.#dataProducer.closed && !equal(now, this.#emitted)) {
      this.#emitted = now;
      emitSafely(this.#dataProducer, 'demand', [{ ...now, subchannels: [...now.subchannels] }]);
    }
  }
}

/**
 * @param {DataConsumer[]} dataConsumers
 * @returns {Map<number, number>}
 */
function count(dataConsumers) {
  const subscribers = new Map();

  for (const dataConsumer of dataConsumers) {
    change(subscribers, dataConsumer.subchannels, 1);
  }
  return subscribers;
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
