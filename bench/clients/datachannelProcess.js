'use strict';

// The process of DatachannelClients (datachannel.js).

const datachannel = require('node-datachannel');

const { Receiver, allReceived, paced, sinceStamp } = require('../messages');
const { serve } = require('../processes/host');

/** A round trip that takes longer ends the measurement. */
const PATIENCE_MS = 10_000;

/** A client stops sending with this many bytes in its own send queue, and continues below `LOW_WATER`. */
const HIGH_WATER = 1024 * 1024;
const LOW_WATER = 256 * 1024;

/** A client with one channel. */
class Client {
  /** @param {number} streamId */
  constructor(streamId) {
    this.connection = new datachannel.PeerConnection('bench', {
      iceServers: [],
      bindAddress: '127.0.0.1',
      maxMessageSize: 262_144,
    });
    /** @type {Promise<string>} */
    this.offered = new Promise((resolve) => this.connection.onLocalDescription(resolve));
    this.channel = this.connection.createDataChannel('', { negotiated: true, id: streamId });
    /** @type {Promise<void>} */
    this.opened = new Promise((resolve) => this.channel.onOpen(resolve));
    this.receiver = new Receiver((listener) =>
      this.channel.onMessage((message) => listener(/** @type {Buffer} */ (message))),
    );
  }

  /** @param {{ count: number, size: number }} load */
  send({ count, size }) {
    return new Promise((/** @type {(value: void) => void} */ resolve) => {
      const message = Buffer.alloc(size, 'x');
      let sent = 0;

      const fill = () => {
        while (sent < count && this.channel.bufferedAmount() < HIGH_WATER) {
          message.writeUInt32LE(sent++, 0);
          this.channel.sendMessageBinary(message);
        }
        if (sent === count) {
          resolve();
        }
      };

      this.channel.setBufferedAmountLowThreshold(LOW_WATER);
      this.channel.onBufferedAmountLow(fill);
      fill();
    });
  }

  /**
   * Sends at an even pace, however much waits in the send queue, until all is sent or the channel closes.
   *
   * @param {{ count: number, size: number, perSecond: number }} load
   * @returns {Promise<number>} how many messages the channel took.
   */
  async pour(load) {
    let sent = 0;
    const send = (/** @type {Buffer} */ message) => {
      if (!this.channel.isOpen()) {
        throw new Error('the channel is closed');
      }
      this.channel.sendMessageBinary(message);
      sent++;
    };

    await paced({ ...load, send }).catch(() => {});
    return sent;
  }

  /**
   * Makes round trips, one at a time, over a channel whose messages come back.
   *
   * @param {{ seconds: number, size: number }} load
   * @returns {Promise<number[]>} the time that each took, in µs.
   */
  ping({ seconds, size }) {
    return new Promise((resolve) => {
      const message = Buffer.alloc(size, 'x');
      const end = performance.now() + seconds * 1_000;
      /** @type {number[]} */
      const trips = [];
      let begin = 0;
      /** @type {NodeJS.Timeout} */
      let patience;

      const stop = () => {
        this.receiver.reset();
        resolve(trips);
      };
      const next = () => {
        begin = performance.now();
        if (begin > end) {
          return stop();
        }
        patience = setTimeout(() => {
          trips.push(PATIENCE_MS * 1_000);
          stop();
        }, PATIENCE_MS);
        this.channel.sendMessageBinary(message);
      };
      const arrived = () => {
        clearTimeout(patience);
        trips.push((performance.now() - begin) * 1_000);
        setTimeout(next, 1);
      };

      this.receiver.reset(arrived);
      next();
    });
  }
}

/** @type {Client[]} */
let clients = [];
/** @type {number[]} */
let latencies = [];
/** @type {number[]} */
let gaps = [];

const receivers = () => clients.map(({ receiver }) => receiver);

serve({
  /** @param {number[]} streamIds */
  offer(streamIds) {
    clients = streamIds.map((streamId) => new Client(streamId));
    return Promise.all(clients.map(({ offered }) => offered));
  },

  /** @param {string[]} answers */
  async connect(answers) {
    clients.forEach(({ connection }, index) => {
      connection.setRemoteDescription(answers[index], /** @type {any} */ ('answer'));
    });
    await Promise.all(clients.map(({ opened }) => opened));
  },

  /** @param {{ latencies?: boolean }} [options] */
  ready(options) {
    latencies = [];
    gaps = clients.map(() => 0);
    receivers().forEach((receiver, index) => {
      /** @type {number | undefined} */
      let last;
      const note = (/** @type {Uint8Array} */ message) => {
        const now = performance.now();

        latencies.push(sinceStamp(message));
        gaps[index] = Math.max(gaps[index], (now - (last ?? now)) * 1_000);
        last = now;
      };

      receiver.reset(options?.latencies ? note : undefined);
    });
  },

  counts: () => receivers().map(({ count }) => count),

  /** @param {number} count */
  received: (count) => allReceived(receivers(), count),

  /** How long messages took, in µs, if `ready()` asked for it. */
  latencies: () => latencies,

  /** The longest time between two messages for each client, in µs, with latencies. */
  gaps: () => gaps,

  /** @param {{ count: number, size: number }} load */
  async send(load) {
    await Promise.all(clients.map((client) => client.send(load)));
  },

  /** @param {{ count: number, size: number, perSecond: number }} load */
  pour: (load) => Promise.all(clients.map((client) => client.pour(load))),

  /** @param {{ seconds: number, size: number }} load */
  async ping(load) {
    return (await Promise.all(clients.map((client) => client.ping(load)))).flat();
  },

  disconnect() {
    clients.forEach(({ connection }) => connection.close());
    clients = [];
  },
});
