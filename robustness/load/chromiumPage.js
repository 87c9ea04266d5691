/// <reference lib="dom" />

'use strict';

/**
 * Runs in the page of ChromiumClients (chromium.js), which evaluates its source. Makes `clients`, whose methods
 * chromium.js calls.
 */
function inPage() {
  /** Without a message for this long, no more are expected. */
  const QUIET_MS = 5_000;
  const LOOK_MS = 20;
  const HIGH_WATER = 1024 * 1024;
  const LOW_WATER = 256 * 1024;
  /** Offset of the time at which a message was sent, as in bench/messages.js. */
  const STAMP = 8;

  /** @type {Client[]} */
  let clients = [];

  class Client {
    count = 0;
    disordered = 0;
    /** @type {number[]} */
    latencies = [];
    connection = new RTCPeerConnection();
    channel;
    opened;

    /** @param {number} id - of the stream. */
    constructor(id) {
      this.channel = this.connection.createDataChannel('', { negotiated: true, id });
      this.channel.binaryType = 'arraybuffer';
      this.channel.onmessage = ({ data }) => this.#take(new DataView(data));
      this.opened = new Promise((resolve) => (this.channel.onopen = resolve));
    }

    async offer() {
      await this.connection.setLocalDescription();
      return this.connection.localDescription?.sdp;
    }

    /** @param {DataView} message */
    #take(message) {
      const sent = Number(message.getBigUint64(STAMP, true)) / 1e6;

      this.latencies.push(performance.now() - sent);
      this.disordered += Number(message.getUint32(0, true) !== this.count);
      this.count++;
    }

    /** @param {{ count: number, size: number }} load */
    send({ count, size }) {
      return new Promise((/** @type {(value: void) => void} */ resolve) => {
        const message = new DataView(new ArrayBuffer(size));
        let sent = 0;

        const fill = () => {
          while (sent < count && this.channel.bufferedAmount < HIGH_WATER) {
            message.setUint32(0, sent++, true);
            this.channel.send(message);
          }
          if (sent === count) {
            resolve();
          }
        };

        this.channel.bufferedAmountLowThreshold = LOW_WATER;
        this.channel.onbufferedamountlow = fill;
        fill();
      });
    }
  }

  const counts = () => clients.map(({ count }) => count);
  const total = (/** @type {number[]} */ numbers) => numbers.reduce((sum, each) => sum + each, 0);

  Object.assign(globalThis, {
    clients: {
      now: () => performance.now(),

      /** @param {number[]} streamIds */
      offer(streamIds) {
        clients = streamIds.map((id) => new Client(id));
        return Promise.all(clients.map((client) => client.offer()));
      },

      /** @param {string[]} answers */
      async connect(answers) {
        await Promise.all(
          clients.map(({ connection }, index) =>
            connection.setRemoteDescription({ type: 'answer', sdp: answers[index] }),
          ),
        );
        await Promise.all(clients.map(({ opened }) => opened));
      },

      ready() {
        clients.forEach((client) =>
          Object.assign(client, { count: 0, disordered: 0, latencies: [] }),
        );
      },

      counts,

      /** @param {number} count */
      async received(count) {
        let seen = -1;
        let since = performance.now();

        while (counts().some((each) => each < count) && performance.now() - since < QUIET_MS) {
          if (total(counts()) !== seen) {
            seen = total(counts());
            since = performance.now();
          }
          await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
        }

        const items = total(counts().map((each) => Math.min(each, count)));

        return {
          items,
          lost: count * clients.length - items,
          disordered: total(clients.map(({ disordered }) => disordered)),
        };
      },

      /** In milliseconds, by the page's clock. */
      latencies: () => clients.flatMap(({ latencies }) => latencies),

      /** @param {{ count: number, size: number }} load */
      async send(load) {
        await Promise.all(clients.map((client) => client.send(load)));
      },
    },
  });
}

exports.inPage = inPage;
