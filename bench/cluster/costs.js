'use strict';

// What the simulation charges. Control messages: measured at the start, with the real envelope and the real checks.
// Messages of DataProducers: figures of `npm run bench -- --rows=cluster`. The bus: what a nats-server took on two busy
// cores.

const { performance } = require('node:perf_hooks');

const { Envelope, epochOf } = require('../../lib/cluster/envelope');
const { decode, encode } = require('../../lib/cluster/messages');

/** @typedef {{ fixed: number, perByte: number }} Cost In ms, and in ms per byte. */

/**
 * CPU time of a gateway's thread, in µs: 100 B over DTLS, to 10 and to 50 hosts at 50 messages per second. Each message
 * comes alone, so each copy is a datagram and a system call, and is acknowledged by one. At thousands per second a copy
 * costs half a microsecond.
 */
const GATEWAY = {
  /** A message of a DataProducer of this host, from its Router. */
  enter: 145,
  /** Each copy to another host. */
  copy: 17,
  /** A message from another host, to a Router of this one. */
  leave: 51,
};

/** Deliveries of messages of 100 B and of 1 KB, per second. */
const BUS = { small: 566_000, large: 193_000 };

/** The time that a bus's server takes for a delivery. @type {Cost} */
const DELIVERY = line(100, 1000 / BUS.small, 1000, 1000 / BUS.large);

/**
 * Measures what it costs a host to send and to receive a control message, by its size.
 *
 * @returns {{ send: Cost, receive: Cost }}
 */
function measureControl() {
  const host = 'host-1';
  const epoch = epochOf(Date.now(), Buffer.alloc(6));
  const secrets = [Buffer.alloc(32, 1)];
  const [from, to] = [
    new Envelope({ secrets, host, epoch }),
    new Envelope({ secrets, host: 'host-2', epoch }),
  ];
  const entry = (/** @type {number} */ number) => ({
    id: `00000000-0000-4000-8000-${`${number}`.padStart(12, '0')}`,
    label: 'chat',
    protocol: '',
    info: '{"user":"ann"}',
    ordered: true,
  });
  const list = (/** @type {number} */ length) =>
    /** @type {import('../../lib/cluster/types').List} */ ({
      type: 'list',
      re: '0'.repeat(32),
      room: '0'.repeat(32),
      seq: 1,
      part: 0,
      parts: 1,
      list: Array.from({ length }, (_, number) => entry(number)),
    });
  const [small, large] = [list(0), list(50)].map((message) => {
    const sealed = from.seal('subject', encode(message));

    return {
      size: sealed.length,
      send: timed(() => from.seal('subject', encode(message))),
      receive: timed(() => decode('to', to.open('subject', sealed).message)),
    };
  });

  return {
    send: line(small.size, small.send, large.size, large.send),
    receive: line(small.size, small.receive, large.size, large.receive),
  };
}

/**
 * The least time of several rounds, in ms.
 *
 * @param {() => void} call
 */
function timed(call) {
  let least = Infinity;

  for (let round = 0; round < 20; round += 1) {
    const begin = performance.now();

    for (let count = 0; count < 200; count += 1) {
      call();
    }
    least = Math.min(least, (performance.now() - begin) / 200);
  }
  return least;
}

/**
 * The line through two points.
 *
 * @param {number} size
 * @param {number} time
 * @param {number} otherSize
 * @param {number} otherTime
 * @returns {Cost}
 */
function line(size, time, otherSize, otherTime) {
  const perByte = Math.max(0, (otherTime - time) / (otherSize - size));

  return { fixed: Math.max(0, time - perByte * size), perByte };
}

/**
 * @param {Cost} cost
 * @param {number} bytes
 */
const costOf = ({ fixed, perByte }, bytes) => fixed + perByte * bytes;

exports.DELIVERY = DELIVERY;
exports.GATEWAY = GATEWAY;
exports.costOf = costOf;
exports.measureControl = measureControl;
