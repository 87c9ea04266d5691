'use strict';

// In which major version of the protocol this host speaks.
//
// A release takes its own version and the one before, so that hosts can be replaced one by one. It speaks the newest
// version that all hosts take that it has heard. A `state` is for hosts that it has not heard yet, so it is in the
// oldest version; so is all that follows a join, until a lease has shown that no host of the release before is there.

const { BEATS } = require('./Peers');

/** @import { Message } from './types' */
/** @import { Peer, Peers } from './Peers' */

/** @typedef {{ oldest: number, current: number }} Range */

class Versions {
  #range;
  #peers;
  #spoken;
  /** How many ticks there were since the last join. */
  #ticks = 0;

  /**
   * @param {Range} range - what this host takes.
   * @param {Peers} peers
   */
  constructor(range, peers) {
    this.#range = range;
    this.#peers = peers;
    this.#spoken = range.oldest;
  }

  /**
   * The version to write a message in.
   *
   * @param {Message} message
   */
  of(message) {
    const { oldest } = this.#range;

    if (message.type !== 'state') {
      return this.#spoken;
    }
    if (message.ask !== undefined) {
      this.#spoken = oldest;
      this.#ticks = 0;
    }
    return oldest;
  }

  /**
   * @param {Peer} peer
   * @param {number} takes - the newest version that it takes.
   */
  heard(peer, takes) {
    peer.takes = takes;
    this.#spoken = Math.min(this.#spoken, takes);
  }

  /** Called each beat. */
  tick() {
    this.#ticks += 1;
    if (this.#ticks > BEATS) {
      this.#spoken = Math.min(this.#range.current, this.#peers.takes);
    }
  }
}

exports.Versions = Versions;
