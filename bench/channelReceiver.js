'use strict';

// Counts and checks what comes on channels of node-datachannel.

const { ageOf, numberOf, sum } = require('./harness');

/** Channels whose messages have stopped coming for so long have lost the rest. */
const QUIET_MS = 5_000;

class ChannelReceiver {
  #next = 0;
  count = 0;
  disordered = 0;
  /** @type {(() => void) | undefined} */
  onArrived;
  /**
   * How long stamped messages took, in µs; see `stamp()`.
   *
   * @type {number[] | undefined}
   */
  latencies;

  /** @param {import('node-datachannel').DataChannel} channel */
  constructor(channel) {
    channel.onMessage((message) => {
      const number = numberOf(/** @type {Buffer} */ (message));

      if (number !== this.#next) {
        this.disordered++;
      }
      this.#next = number + 1;
      this.count++;
      this.latencies?.push(ageOf(/** @type {Buffer} */ (message)));
      this.onArrived?.();
    });
  }

  /** Expects number 0 next. */
  reset() {
    this.#next = 0;
    this.count = 0;
    this.disordered = 0;
  }
}

/**
 * Resolves when each receiver has got `count` messages since its `reset()`, or nothing more comes.
 *
 * @param {ChannelReceiver[]} receivers
 * @param {number} count
 * @returns {Promise<import('./harness').Outcome>}
 */
function allReceived(receivers, count) {
  return new Promise((resolve) => {
    let left = count * receivers.length - sum(receivers.map((receiver) => receiver.count));
    let seen = left;

    const watch = setInterval(() => {
      if (left === seen) {
        end();
      }
      seen = left;
    }, QUIET_MS);

    function end() {
      clearInterval(watch);
      for (const receiver of receivers) {
        receiver.onArrived = undefined;
      }
      resolve({
        items: sum(receivers.map((receiver) => receiver.count)),
        lost: left,
        disordered: sum(receivers.map((receiver) => receiver.disordered)),
      });
    }

    function arrived() {
      left--;
      if (left === 0) {
        end();
      }
    }

    for (const receiver of receivers) {
      receiver.onArrived = arrived;
    }
    if (left === 0) {
      end();
    }
  });
}

module.exports = { ChannelReceiver, allReceived };
