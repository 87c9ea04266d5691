'use strict';

/**
 * The process of the WebRTC clients of the interop tests. A test can freeze or kill the process, and Jest does not
 * load the native module of the clients. The parent (WebRtcPeers.ts) sends `{ request, method, args }`; this process
 * answers with `{ request, result | error }` and reports events as `{ peer, event, … }`.
 *
 * @typedef {import('./WebRtcPeers').ChannelOptions} ChannelOptions
 * @typedef {import('./WebRtcPeers').FromProcess} FromProcess
 * @typedef {import('./WebRtcPeers').PeerEvent} PeerEvent
 * @typedef {import('./numbered').TallySummary} TallySummary
 * @typedef {{ count: number, resolve: (summary: TallySummary) => void }} Waiting
 */

const ndc = require('node-datachannel');
const { Tally, numbered } = require('./numbered');

/** @param {FromProcess} message */
function report(message) {
  if (process.connected) {
    process.send?.(message);
  }
}

/** A DataChannel. Its messages go to the parent, or into a tally. */
class Channel {
  #tally = new Tally();
  /** @type {Waiting[]} */
  #waiting = [];

  /**
   * @param {import('node-datachannel').DataChannel} channel
   * @param {boolean} tally
   * @param {(event: Omit<PeerEvent, 'peer'>) => void} happened
   */
  constructor(channel, tally, happened) {
    this.channel = channel;
    channel.onOpen(() => happened({ event: 'open' }));
    channel.onClosed(() => happened({ event: 'closed' }));
    channel.onError((error) => happened({ event: 'channelerror', message: error }));
    channel.onMessage((message) => {
      if (tally) {
        this.#add(Buffer.from(/** @type {Buffer} */ (message)));
      } else {
        happened({ event: 'message', message: /** @type {string | Buffer} */ (message) });
      }
    });
  }

  /** @param {string | Uint8Array} message */
  send(message) {
    return typeof message === 'string'
      ? this.channel.sendMessage(message)
      : this.channel.sendMessageBinary(Buffer.from(message));
  }

  /**
   * Resolves with the tally once `count` messages have arrived.
   *
   * @param {number} count
   * @returns {Promise<TallySummary>}
   */
  tally(count) {
    return new Promise((resolve) => {
      this.#waiting.push({ count, resolve });
      this.#answer();
    });
  }

  /** @param {Buffer} message */
  #add(message) {
    this.#tally.add(message);
    this.#answer();
  }

  #answer() {
    this.#waiting = this.#waiting.filter(({ count, resolve }) => {
      if (this.#tally.count < count) {
        return true;
      }
      resolve(this.#tally.summary);
      return false;
    });
  }
}

/** A client: one PeerConnection and its channels by stream id. */
class Client {
  /** @type {Map<number, Channel>} */
  #channels = new Map();
  #name;
  #connection;

  /**
   * @param {string} name
   * @param {object} config
   */
  constructor(name, config) {
    this.#name = name;
    this.#connection = new ndc.PeerConnection(name, {
      iceServers: [],
      maxMessageSize: 262144,
      ...config,
    });
    this.#connection.onStateChange((state) => report({ peer: name, event: 'state', state }));
    this.#connection.onDataChannel((channel) => {
      const id = channel.getId();
      this.#add(id, channel, false);
      const label = channel.getLabel();
      const protocol = channel.getProtocol();
      report({ peer: name, event: 'datachannel', channel: id, label, protocol });
      report({ peer: name, event: 'open', channel: id });
    });
  }

  /**
   * Opens the channels and resolves with the client's offer.
   *
   * @param {ChannelOptions[]} channels
   * @returns {Promise<string>}
   */
  offer(channels) {
    return new Promise((resolve) => {
      this.#connection.onLocalDescription((sdp) => resolve(sdp));
      channels.forEach((channel) => this.open(channel));
    });
  }

  /** @param {string} sdp */
  answer(sdp) {
    this.#connection.setRemoteDescription(sdp, 'answer');
  }

  /** @param {ChannelOptions} options */
  open({ id, label = '', tally = false, ...options }) {
    const channel = this.#connection.createDataChannel(label, { negotiated: true, id, ...options });
    this.#add(id, channel, tally);
  }

  /** @param {number} id */
  channel(id) {
    const channel = this.#channels.get(id);
    if (!channel) {
      throw new Error(`${this.#name} has no channel ${id}`);
    }
    return channel;
  }

  close() {
    this.#connection.close();
  }

  /**
   * @param {number} id
   * @param {import('node-datachannel').DataChannel} channel
   * @param {boolean} tally
   */
  #add(id, channel, tally) {
    const happened = (/** @type {Omit<PeerEvent, 'peer'>} */ event) =>
      report({ peer: this.#name, channel: id, ...event });
    this.#channels.set(id, new Channel(channel, tally, happened));
  }
}

/** @type {Map<string, Client>} */
const clients = new Map();

/** @param {string} name */
function client(name) {
  const found = clients.get(name);
  if (!found) {
    throw new Error(`there is no client ${name}`);
  }
  return found;
}

/** @type {Record<string, (...args: any[]) => unknown>} */
const methods = {
  create(name, { config, channels }) {
    const made = new Client(name, config);
    clients.set(name, made);
    return made.offer(channels);
  },
  answer: (name, sdp) => client(name).answer(sdp),
  openChannel: (name, options) => client(name).open(options),
  send: (name, id, message) => client(name).channel(id).send(message),
  sendNumbered(name, id, count, size) {
    const channel = client(name).channel(id);
    for (let number = 0; number < count; number++) {
      channel.send(numbered(number, size));
    }
  },
  tally: (name, id, count) => client(name).channel(id).tally(count),
  closeChannel: (name, id) => client(name).channel(id).channel.close(),
  close: (name) => client(name).close(),
  shutdown() {
    clients.forEach((each) => each.close());
    setImmediate(() => {
      ndc.cleanup();
      process.exit(0);
    });
  },
};

process.on('message', async (/** @type {any} */ { request, method, args }) => {
  try {
    report({ request, result: await methods[method](...args) });
  } catch (error) {
    report({ request, error: String(error) });
  }
});

process.on('disconnect', () => process.exit(0));
