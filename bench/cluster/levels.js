'use strict';

// From how many hosts on a second level of copies would pay: an origin sends to the square root of the hosts, and each
// of these sends on to as many.

const { GATEWAY } = require('./costs');

/** How long a message takes from one gateway to another, without waiting for others, in µs. */
const HOP = 250;

/** A gateway with more than this part of a core is busy. */
const BUSY = 0.5;

/** The last copy is late if it leaves this much after the first one, in µs. */
const LATE = 1000;

/** Messages per second that one host's DataProducers send together. With far more, copies cost far less. */
const RATES = [5, 20, 50, 100];

/** How many hosts a room has at most. */
const MOST = 1_000_000;

/** @param {number} hosts */
const one = (hosts) => ({
  /** µs that the busiest gateway works for a message, and until the last copy has left. */
  work: GATEWAY.enter + (hosts - 1) * GATEWAY.copy,
  last: (hosts - 1) * GATEWAY.copy,
});

/** @param {number} hosts */
const two = (hosts) => {
  const relays = Math.ceil(Math.sqrt(hosts));
  const leaves = Math.ceil((hosts - 1 - relays) / relays);

  return {
    work: GATEWAY.leave + Math.max(relays, leaves) * GATEWAY.copy,
    last: (relays + leaves) * GATEWAY.copy + GATEWAY.leave + HOP,
  };
};

/**
 * The least number of hosts for which something holds.
 *
 * @param {(hosts: number) => boolean} holds - and for all above, too.
 */
function least(holds) {
  let [low, high] = [2, MOST];

  while (low < high) {
    const middle = Math.floor((low + high) / 2);

    if (holds(middle)) {
      high = middle;
    } else {
      low = middle + 1;
    }
  }
  return low;
}

/** From which number of hosts on a second level pays, by messages per second. */
function levels() {
  return {
    late: least((hosts) => one(hosts).last - two(hosts).last > LATE),
    busy: RATES.map((rate) => ({
      rate,
      hosts: least((hosts) => one(hosts).work * rate > BUSY * 1e6),
      cpuOfThousand: (one(1000).work * rate) / 1e6,
      cpuOfThousandInTwo: (two(1000).work * rate) / 1e6,
    })),
  };
}

exports.BUSY = BUSY;
exports.LATE = LATE;
exports.levels = levels;
