'use strict';

// The process of DatachannelServer (datachannel.js): a server that sends each message to all clients in a loop.

const datachannel = require('node-datachannel');

const { Receiver, allReceived, burst, paced } = require('../messages');
const { serve } = require('../processes/host');

/** The server's side of one client. */
class Session {
  /**
   * @param {string} offer
   * @param {number} streamId
   */
  constructor(offer, streamId) {
    this.connection = new datachannel.PeerConnection('bench-server', {
      iceServers: [],
      bindAddress: '127.0.0.1',
      maxMessageSize: 262_144,
    });
    /** @type {Promise<string>} */
    this.answered = new Promise((resolve) => {
      this.connection.onGatheringStateChange((state) => {
        if (state === 'complete') {
          resolve(/** @type {any} */ (this.connection.localDescription()).sdp);
        }
      });
    });
    this.channel = this.connection.createDataChannel('', { negotiated: true, id: streamId });
    /** @type {Promise<void>} */
    this.opened = new Promise((resolve) => this.channel.onOpen(resolve));
    this.receiver = new Receiver((listener) =>
      this.channel.onMessage((message) => listener(/** @type {Buffer} */ (message))),
    );
    this.connection.setRemoteDescription(offer, /** @type {any} */ ('offer'));
  }
}

/** @type {Session[]} */
let sessions = [];
let cpuBefore = process.cpuUsage();

/** @param {Buffer} message */
function toAll(message) {
  for (const { channel } of sessions) {
    channel.sendMessageBinary(message);
  }
}

serve({
  /**
   * @param {string[]} offers
   * @param {number[]} streamIds
   */
  answer(offers, streamIds) {
    sessions = offers.map((offer, index) => new Session(offer, streamIds[index]));
    return Promise.all(sessions.map(({ answered }) => answered));
  },

  async opened() {
    await Promise.all(sessions.map(({ opened }) => opened));
  },

  /** Starts to count CPU time, and expects message 0. */
  begin() {
    sessions.forEach(({ receiver }) => receiver.reset());
    cpuBefore = process.cpuUsage();
  },

  /** The CPU time since `begin()`, in µs. */
  cpuMicros() {
    const { user, system } = process.cpuUsage(cpuBefore);

    return user + system;
  },

  /**
   * Sends messages to all clients, at an even pace.
   *
   * @param {{ count: number, size: number, perSecond: number }} load
   */
  broadcast: (load) => paced({ ...load, send: toAll }),

  /**
   * Sends messages to all clients at once.
   *
   * @param {{ from: number, to: number, size: number }} load - the numbers of the messages; `to` is exclusive.
   */
  burst: (load) => burst({ ...load, send: toAll }),

  /** @param {number} count */
  received: (count) =>
    allReceived(
      sessions.map(({ receiver }) => receiver),
      count,
    ),

  disconnect() {
    sessions.forEach(({ connection }) => connection.close());
    sessions = [];
  },
});
