'use strict';

// Carries the datagrams of a pipe over the bus, for hosts between which UDP is blocked.
//
//   PipeTransport ↔ UDP on loopback ↔ Relay ↔ bus ↔ Relay ↔ UDP on loopback ↔ PipeTransport
//
// DTLS between the two gateways protects them: on the bus they cannot be read, changed or replayed. SCTP keeps the
// order, sends again what the bus loses, and has at most half a megabyte in flight, so messages wait in the queue of
// the pipe, which is bounded and counted, and not in the client of the bus. Datagrams that come in one macrotask go in
// one message of the bus, each after its length, in two bytes.

const { createSocket } = require('node:dgram');

const { publish, unsubscribe } = require('./bus');

const LOOPBACK = '127.0.0.1';

/** The longest message for the bus, in bytes, which every bus takes. */
const MAX_BATCH = 60_000;

/** How many bytes may wait for the pipe, and for this process; what comes beyond is dropped. */
const MAX_WAITING = 1024 * 1024;

/** @import { Bus } from './types' */
/** @import { Subjects } from './messages' */

/**
 * What has gone over the bus, in bytes of datagrams, and datagrams that were dropped: sent again by SCTP.
 *
 * @typedef {{ bytesSent: number, bytesReceived: number, datagramsDropped: number }} RelayCounters
 */

class Relay {
  #bus;
  #subjects;
  #counters;
  #socket;
  #attached = false;
  /** @type {AsyncDisposable | undefined} */
  #subscription;
  /** The subject of the relay at the far end. @type {string | undefined} */
  #far;
  /** Lengths and datagrams for the next message. @type {Buffer[]} */
  #batch = [];
  #batchLength = 0;
  #closed = false;

  /**
   * @param {object} options
   * @param {Bus} options.bus
   * @param {Subjects} options.subjects
   * @param {string} options.name - unique on the bus.
   * @param {RelayCounters} options.counters
   */
  static async open(options) {
    const relay = new Relay(options);

    try {
      await relay.#listen();
    } catch (error) {
      relay.close();
      throw error;
    }
    return relay;
  }

  /**
   * @param {object} options
   * @param {Bus} options.bus
   * @param {Subjects} options.subjects
   * @param {string} options.name
   * @param {RelayCounters} options.counters
   */
  constructor({ bus, subjects, name, counters }) {
    this.#bus = bus;
    this.#subjects = subjects;
    this.#counters = counters;
    this.#socket = createSocket({ type: 'udp4', recvBufferSize: MAX_WAITING });
    this.name = name;
  }

  /**
   * Takes datagrams from the pipe on a port of this machine, and from nothing else.
   *
   * @param {number} port
   */
  async attach(port) {
    await new Promise((resolve, reject) => {
      this.#socket.once('error', reject);
      this.#socket.connect(port, LOOPBACK, () => {
        this.#socket.off('error', reject);
        this.#attached = true;
        resolve(undefined);
      });
    });
  }

  /** The port that the pipe sends to. */
  get port() {
    return this.#socket.address().port;
  }

  /** @param {string} name - of the relay at the far end. */
  connect(name) {
    this.#far = this.#subjects.of('data', name);
  }

  close() {
    if (!this.#closed) {
      this.#closed = true;
      this.#socket.close();
      void unsubscribe(this.#subscription);
    }
  }

  async #listen() {
    await new Promise((resolve, reject) => {
      this.#socket.once('error', reject);
      this.#socket.bind(0, LOOPBACK, () => {
        this.#socket.off('error', reject);
        resolve(undefined);
      });
    });
    // Nothing is lost on loopback unless the pipe has closed.
    this.#socket.on('error', () => this.#drop());
    this.#socket.on('message', (datagram) => this.#onDatagram(datagram));
    this.#subscription = await this.#bus.subscribe(this.#subjects.of('data', this.name), (data) =>
      this.#onMessage(data),
    );
    if (this.#closed) {
      void unsubscribe(this.#subscription);
    }
  }

  /** @param {Buffer} datagram */
  #onDatagram(datagram) {
    if (this.#batchLength + 2 + datagram.length > MAX_BATCH) {
      this.#flush();
    }
    if (this.#batch.length === 0) {
      setImmediate(() => this.#flush());
    }

    const head = Buffer.alloc(2);

    head.writeUInt16BE(datagram.length);
    this.#batch.push(head, datagram);
    this.#batchLength += 2 + datagram.length;
  }

  #flush() {
    const batch = this.#batch;

    this.#batch = [];
    this.#batchLength = 0;
    if (batch.length === 0 || this.#closed || this.#far === undefined) {
      return;
    }

    const data = Buffer.concat(batch);

    publish(this.#bus, this.#far, data, (sent) => {
      if (sent) {
        this.#counters.bytesSent += data.length - batch.length;
      } else {
        this.#counters.datagramsDropped += batch.length / 2;
      }
    });
  }

  /** @param {Uint8Array} data */
  #onMessage(data) {
    const bytes = Buffer.from(data.buffer, data.byteOffset, data.byteLength);

    for (let at = 0; at < bytes.length && !this.#closed;) {
      const end = at + 2 < bytes.length ? at + 2 + bytes.readUInt16BE(at) : Infinity;

      if (bytes.length > MAX_BATCH || end > bytes.length) {
        // A relay makes no such message.
        this.#drop();
        return;
      }
      // Nothing that comes before the pipe is attached can be for it.
      if (this.#attached && this.#socket.getSendQueueSize() <= MAX_WAITING) {
        this.#counters.bytesReceived += end - at - 2;
        this.#socket.send(bytes.subarray(at + 2, end), (error) => error && this.#drop());
      } else {
        this.#drop();
      }
      at = end;
    }
  }

  #drop() {
    this.#counters.datagramsDropped += 1;
  }
}

exports.LOOPBACK = LOOPBACK;
exports.Relay = Relay;
