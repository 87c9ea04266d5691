'use strict';

// What operators see of a Cluster: its lines of the log, and its values for datasoup/metrics.

const { Logger } = require('../Logger');
const { REFUSALS } = require('./envelope');
const { TYPES } = require('./messages');

/** Reasons that honest hosts never cause: the first message of each is worth a line of the log. */
const SUSPICIOUS = new Set([
  'format',
  'oversized',
  'key',
  'forged',
  'malformed',
  'crossed',
  'toomany',
]);

/** @type {Record<string, string>} */
const CARRIERS = { bus: 'the bus', pipe: 'UDP' };

const logger = new Logger('cluster');

/** @import { ClusterCounters, ClusterGauges } from './types' */
/** @typedef {ReturnType<import('./Host').Host['stats']>} HostStats */

class Monitor {
  #host;
  #hostsGone = { left: 0, lease: 0, restarted: 0 };
  #busOutages = 0;
  #messagesMissed = 0;
  /** @type {Set<string>} */
  #refused = new Set();

  /** @param {string} host - the name of the Cluster's host. */
  constructor(host) {
    this.#host = host;
  }

  /**
   * An event of the Cluster.
   *
   * @param {string} event
   * @param {...any} args
   */
  event(event, ...args) {
    const [other, reason, why] = args;

    switch (event) {
      case 'carrier':
        this.#warn(`messages of host ${other} come over ${CARRIERS[reason]} now: ${why}`);
        return;
      case 'hostdown':
        this.#hostsGone[/** @type {'left' | 'lease' | 'restarted'} */ (reason)] += 1;
        if (reason === 'lease') {
          this.#warn(
            `host ${other} is gone: it was silent on the bus and in its pipes for a lease`,
          );
          return;
        }
        break;
      case 'busdown':
        this.#busOutages += 1;
        this.#warn('the bus is down: this host has not heard itself for a lease');
        return;
      case 'busup':
        this.#warn('the bus is up again');
        return;
      case 'died':
        this.#warn(`closed: its Worker is gone: ${other}`);
        return;
      case 'fenced':
        this.#warn('closed: a newer process uses the name of this host');
        return;
      case 'incompatible':
        this.#warn(`host ${other} speaks a version of the protocol that this one does not take`);
        return;
    }
    logger.debug(`${this.#host}: ${event} ${args.join(' ')}`.trimEnd());
  }

  /**
   * Messages were lost with a path that failed.
   *
   * @param {string} id - of the DataProducer.
   * @param {string} origin - its host.
   * @param {number} atMost
   */
  missed(id, origin, atMost) {
    this.#messagesMissed += atMost;
    this.#warn(
      `the path to ${id} of host ${origin} has failed: at most ${atMost} messages are lost`,
    );
  }

  /**
   * A pipe has failed, or could not be made. The first one of a row is worth a line, and the one that shows that others
   * will fail as well.
   *
   * @param {string} other
   * @param {Error} error
   * @param {number} failures - in a row.
   */
  failing(other, { message }, failures) {
    if (failures === 1 || failures === 3) {
      this.#warn(`a pipe between this host and ${other} has failed: ${message}`);
    } else {
      logger.debug(`${this.#host}: pipe ${failures} of host ${other} has failed: ${message}`);
    }
  }

  /**
   * A control message was refused.
   *
   * @param {string} reason
   */
  refused(reason) {
    if (SUSPICIOUS.has(reason) && !this.#refused.has(reason)) {
      this.#refused.add(reason);
      this.#warn(`a control message was refused: '${reason}' (shown once; getStats() counts them)`);
    }
  }

  /**
   * @param {HostStats} stats
   * @param {ClusterCounters['overBus']} overBus
   * @returns {ClusterCounters}
   */
  counters({ resyncs, refused, unsent, control, pipeFailures }, overBus) {
    return {
      resyncs,
      pipeFailures,
      messagesMissed: this.#messagesMissed,
      hostsGone: this.#hostsGone,
      busOutages: this.#busOutages,
      controlSent: { ...zeros(TYPES), ...control.sent },
      controlReceived: { ...zeros(TYPES), ...control.received },
      controlUnsent: unsent,
      controlRefused: { ...zeros(REFUSALS), ...refused },
      controlBytesSent: control.bytesSent,
      controlBytesReceived: control.bytesReceived,
      overBus,
    };
  }

  /**
   * @param {HostStats} stats
   * @param {{ rooms: number, paths: number }} of
   * @returns {ClusterGauges}
   */
  gauges({ busDown, hosts, takes, gives, dataProducers }, { rooms, paths }) {
    const up = takes.filter(({ state }) => state === 'up');
    const overBus = (/** @type {{ carrier: string }[]} */ pipes) =>
      pipes.filter(({ carrier }) => carrier === 'bus').length;

    return {
      busDown: Number(busDown),
      hosts: hosts.length,
      rooms,
      dataProducers,
      paths,
      pipes: { in: up.length, out: gives.length },
      pipesOverBus: { in: overBus(up), out: overBus(gives) },
      pipesDown: takes.length - up.length,
    };
  }

  /** @param {string} line */
  #warn(line) {
    logger.warn(`${this.#host}: ${line}`);
  }
}

/** @param {readonly string[]} names */
const zeros = (names) => Object.fromEntries(names.map((name) => [name, 0]));

exports.Monitor = Monitor;
