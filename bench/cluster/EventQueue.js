'use strict';

/**
 * @typedef {object} Event
 * @property {number} time
 * @property {number} order
 * @property {(() => void) | undefined} run - undefined once it is cancelled.
 */

/** Virtual time: events by time, and those of one time in order. In milliseconds. */
class EventQueue {
  now = 0;
  /** A binary heap. @type {Event[]} */
  #events = [];
  #order = 0;
  #pending = 0;

  /**
   * @param {number} time
   * @param {() => void} run
   * @returns {() => void} cancels it.
   */
  at(time, run) {
    this.#order += 1;

    /** @type {Event} */
    const event = { time, order: this.#order, run };
    const events = this.#events;
    let index = events.length;

    events.push(event);
    while (index > 0) {
      const parent = (index - 1) >> 1;

      if (!before(event, events[parent])) {
        break;
      }
      events[index] = events[parent];
      index = parent;
    }
    events[index] = event;
    return () => {
      event.run = undefined;
    };
  }

  /** Says that promises are pending, so that their reactions run before the next event. */
  settle() {
    this.#pending = 8;
  }

  /**
   * Lets time pass.
   *
   * @param {number} end
   */
  async runUntil(end) {
    for (;;) {
      for (; this.#pending > 0; this.#pending -= 1) {
        await null;
      }

      const [event] = this.#events;

      if (!event || event.time > end) {
        break;
      }
      this.#pop();
      this.now = event.time;
      event.run?.();
    }
    this.now = end;
  }

  #pop() {
    const events = this.#events;
    const last = /** @type {Event} */ (events.pop());
    const { length } = events;

    if (length === 0) {
      return;
    }

    let index = 0;

    for (;;) {
      let child = 2 * index + 1;

      if (child >= length) {
        break;
      }
      if (child + 1 < length && before(events[child + 1], events[child])) {
        child += 1;
      }
      if (!before(events[child], last)) {
        break;
      }
      events[index] = events[child];
      index = child;
    }
    events[index] = last;
  }
}

/**
 * @param {Event} one
 * @param {Event} other
 */
function before(one, other) {
  return one.time < other.time || (one.time === other.time && one.order < other.order);
}

exports.EventQueue = EventQueue;
