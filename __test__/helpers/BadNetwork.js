'use strict';

// A UDP proxy that delays, reorders, duplicates and drops datagrams. Plain JavaScript, because the programs in
// robustness/ run it without a compiler.

const { closeSocket, udpSocket } = require('./sockets');

/**
 * The properties of a network, the same in both directions. Probabilities are per datagram, 0 to 1.
 *
 * @typedef {object} Conditions
 * @property {number} delay - how long each datagram takes, in milliseconds.
 * @property {number} [jitter] - how much longer a reordered datagram takes at most, in milliseconds.
 * @property {number} [reordering]
 * @property {number} [duplication]
 * @property {number} [loss]
 * @property {number} [rate] - in bytes per second; default no limit. A datagram has 28 bytes of headers.
 * @property {number} [queue] - the bytes that wait for their turn at `rate`; a datagram that does not fit is dropped.
 * @property {(datagram: Buffer, way: Way) => boolean} [passes] - whether a datagram is not lost.
 *
 * A direction: up is from the client to the transport, down is from the transport to the client.
 *
 * @typedef {'up' | 'down'} Way
 *
 * @typedef {{ address: string, port: number }} Target
 * @typedef {{ due: number, order: number, send: () => void }} Datagram
 */

/**
 * A round trip of 50 ms, with some reordering, duplication and loss.
 *
 * @type {Conditions}
 */
const BAD = { delay: 25, jitter: 15, reordering: 0.05, duplication: 0.03, loss: 0.03 };

/** The headers of UDP and IPv4, in bytes. */
const HEADERS = 28;

/**
 * A proxy in front of a WebRtcTransport, or of all that share the port of a WebRtcServer. Each client address gets a
 * socket of its own to that port, as behind a NAT. The same seed and the same datagrams give the same run.
 */
class BadNetwork {
  /**
   * Lengths of the datagrams that were lost.
   *
   * @type {Record<Way, number[]>}
   */
  lost = { up: [], down: [] };
  /** How many datagrams were not lost. */
  carried = { up: 0, down: 0 };
  #conditions;
  #front;
  #target;
  /** @type {Map<string, Promise<import('node:dgram').Socket>>} */
  #backs = new Map();
  #inTransit = new InTransit();
  /** When the last datagram of each direction will have left the queue, in milliseconds. */
  #busy = { up: 0, down: 0 };
  #state;

  /**
   * @param {{ iceCandidates: readonly Target[] }} transport
   * @param {Conditions} [conditions]
   */
  static async to(transport, conditions = BAD, seed = 1) {
    const [{ address, port }] = transport.iceCandidates;
    return new BadNetwork(await udpSocket(), { address, port }, conditions, seed);
  }

  /**
   * @param {import('node:dgram').Socket} front
   * @param {Target} target
   * @param {Conditions} conditions
   * @param {number} seed
   */
  constructor(front, target, conditions, seed) {
    this.#front = front;
    this.#target = target;
    this.#conditions = conditions;
    this.#state = seed;
    front.on('message', (datagram, client) => void this.#fromClient(datagram, client));
  }

  /** The port of the proxy on 127.0.0.1. */
  get port() {
    return this.#front.address().port;
  }

  /**
   * Replaces the candidate of the transport by the proxy in an SDP answer.
   *
   * @param {string} sdp
   */
  alter = (sdp) => {
    const { address, port } = this.#target;
    return sdp.replace(` ${address} ${port} typ`, ` 127.0.0.1 ${this.port} typ`);
  };

  /**
   * A function that counts the datagrams longer than `length` that are lost after this call.
   *
   * @param {Way} way
   * @param {number} length
   */
  lostFromNow(way, length) {
    const before = this.lost[way].length;
    return () => this.lost[way].slice(before).filter((each) => each > length).length;
  }

  async close() {
    this.#inTransit.clear();
    const backs = await Promise.all(this.#backs.values());
    await Promise.all([this.#front, ...backs].map(closeSocket));
  }

  /**
   * @param {Buffer} datagram
   * @param {{ address: string, port: number }} client
   */
  async #fromClient(datagram, client) {
    const key = `${client.address}:${client.port}`;
    let made = this.#backs.get(key);
    if (!made) {
      made = udpSocket();
      this.#backs.set(key, made);
      (await made).on('message', (answer) =>
        this.#carry('down', answer, () => this.#front.send(answer, client.port, client.address)),
      );
    }
    const back = await made;
    const { address, port } = this.#target;
    this.#carry('up', datagram, () => back.send(datagram, port, address));
  }

  /**
   * @param {Way} way
   * @param {Buffer} datagram
   * @param {() => void} send
   */
  #carry(way, datagram, send) {
    const { delay, jitter = 0, reordering = 0, duplication = 0, loss = 0 } = this.#conditions;
    const { passes = () => true } = this.#conditions;
    const left = this.#enqueue(way, datagram.length + HEADERS);
    if (left === undefined || !passes(datagram, way) || this.#random() < loss) {
      this.lost[way].push(datagram.length);
      return;
    }
    this.carried[way]++;
    const copies = this.#random() < duplication ? 2 : 1;
    for (let copy = 0; copy < copies; copy++) {
      const longer = this.#random() < reordering ? jitter * this.#random() : 0;
      this.#inTransit.add(left + delay + longer, send);
    }
  }

  /**
   * When a datagram that comes now will have left the queue of the slowest link. Undefined if the queue has no room.
   *
   * @param {Way} way
   * @param {number} bytes
   */
  #enqueue(way, bytes) {
    const { rate = Infinity, queue = Infinity } = this.#conditions;
    const now = performance.now();
    const begins = Math.max(now, this.#busy[way]);
    const waiting = begins > now ? ((begins - now) * rate) / 1_000 : 0;
    if (waiting + bytes > queue) {
      return undefined;
    }
    this.#busy[way] = begins + (bytes / rate) * 1_000;
    return this.#busy[way];
  }

  /** A pseudo-random number from 0 to 1, without 1 (mulberry32), so that a seed repeats a run. */
  #random() {
    this.#state = (this.#state + 0x6d2b79f5) | 0;
    let t = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  }
}

/**
 * Datagrams that are not due yet, in a heap. A timer for each would round times and so reorder datagrams within a
 * millisecond.
 */
class InTransit {
  /** @type {Datagram[]} */
  #heap = [];
  #count = 0;
  /** @type {NodeJS.Timeout | undefined} */
  #timer;
  #wakes = Infinity;

  /**
   * @param {number} due - in milliseconds, of `performance.now()`.
   * @param {() => void} send
   */
  add(due, send) {
    const heap = this.#heap;
    let at = heap.push({ due, order: this.#count++, send }) - 1;
    for (
      let above = (at - 1) >> 1;
      at > 0 && before(heap[at], heap[above]);
      above = (at - 1) >> 1
    ) {
      [heap[at], heap[above]] = [heap[above], heap[at]];
      at = above;
    }
    this.#wake();
  }

  clear() {
    this.#heap = [];
    clearTimeout(this.#timer);
  }

  #wake() {
    const due = this.#heap[0]?.due ?? Infinity;
    if (due < this.#wakes) {
      clearTimeout(this.#timer);
      this.#wakes = due;
      this.#timer = setTimeout(() => this.#deliver(), Math.max(0, due - performance.now()));
    }
  }

  #deliver() {
    const now = performance.now();
    this.#wakes = Infinity;
    while (this.#heap.length > 0 && this.#heap[0].due <= now) {
      this.#pop().send();
    }
    this.#wake();
  }

  #pop() {
    const heap = this.#heap;
    const first = heap[0];
    const last = /** @type {Datagram} */ (heap.pop());
    if (heap.length > 0) {
      heap[0] = last;
      for (let at = 0; ;) {
        let least = at;
        for (const below of [2 * at + 1, 2 * at + 2]) {
          if (below < heap.length && before(heap[below], heap[least])) {
            least = below;
          }
        }
        if (least === at) {
          break;
        }
        [heap[at], heap[least]] = [heap[least], heap[at]];
        at = least;
      }
    }
    return first;
  }
}

/**
 * @param {Datagram} one
 * @param {Datagram} other
 */
function before(one, other) {
  return one.due < other.due || (one.due === other.due && one.order < other.order);
}

exports.BAD = BAD;
exports.BadNetwork = BadNetwork;
