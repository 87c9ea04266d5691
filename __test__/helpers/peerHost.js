'use strict';

/**
 * The process in which the WebRTC clients of the interop tests live, so that a test can freeze or
 * kill them, and so that Jest never loads their native module. It does what the messages of its
 * parent (WebRtcPeers.ts) say: `{ request, method, args }` in, `{ request, result | error }` out, and
 * `{ peer, event, … }` whenever something happens.
 */

const ndc = require('node-datachannel');
const { Tally, numbered } = require('./numbered');

/** A client: one PeerConnection and its channels by stream id. */
const peers = new Map();

function tell(message) {
  if (process.connected) {
    process.send(message);
  }
}

function addChannel(peerId, channel, { id, tally }) {
  const entry = { channel, tally: tally ? new Tally() : undefined, waiting: [] };
  peers.get(peerId).channels.set(id, entry);
  const event = (name, more) => tell({ peer: peerId, event: name, channel: id, ...more });
  channel.onOpen(() => event('open'));
  channel.onClosed(() => event('closed'));
  channel.onError((error) => event('channelerror', { error }));
  channel.onMessage((message) => {
    if (!entry.tally) {
      event('message', { message });
      return;
    }
    entry.tally.add(Buffer.from(message));
    entry.waiting = entry.waiting.filter(({ count, resolve }) => {
      if (entry.tally.count < count) {
        return true;
      }
      resolve(entry.tally.summary);
      return false;
    });
  });
  // A channel that came in may be open before anybody listens.
  if (channel.isOpen()) {
    event('open');
  }
}

const methods = {
  /** Makes a client and resolves with what it offers. */
  create(peerId, { config, channels }) {
    return new Promise((resolve) => {
      const connection = new ndc.PeerConnection(peerId, {
        iceServers: [],
        maxMessageSize: 262144,
        ...config,
      });
      peers.set(peerId, { connection, channels: new Map() });
      connection.onLocalDescription((sdp) => resolve(sdp));
      connection.onStateChange((state) => tell({ peer: peerId, event: 'state', state }));
      connection.onDataChannel((channel) => {
        addChannel(peerId, channel, { id: channel.getId() });
        tell({
          peer: peerId,
          event: 'datachannel',
          channel: channel.getId(),
          label: channel.getLabel(),
          protocol: channel.getProtocol(),
        });
      });
      for (const channel of channels) {
        methods.openChannel(peerId, channel);
      }
    });
  },

  /** Hands the client the answer to its offer: it starts. */
  answer(peerId, sdp) {
    peers.get(peerId).connection.setRemoteDescription(sdp, 'answer');
  },

  openChannel(peerId, { id, label = '', tally = false, ...options }) {
    const { connection } = peers.get(peerId);
    const channel = connection.createDataChannel(label, { negotiated: true, id, ...options });
    addChannel(peerId, channel, { id, tally });
  },

  /** Sends a string or a Buffer. */
  send(peerId, id, message) {
    const { channel } = peers.get(peerId).channels.get(id);
    return typeof message === 'string'
      ? channel.sendMessage(message)
      : channel.sendMessageBinary(Buffer.from(message));
  },

  /** Sends `count` numbered messages of `size` bytes, without taking a breath. */
  sendNumbered(peerId, id, count, size) {
    const { channel } = peers.get(peerId).channels.get(id);
    for (let number = 0; number < count; number++) {
      channel.sendMessageBinary(numbered(number, size));
    }
  },

  /** Resolves with the tally once `count` messages have come. */
  tally(peerId, id, count) {
    const entry = peers.get(peerId).channels.get(id);
    if (entry.tally.count >= count) {
      return entry.tally.summary;
    }
    return new Promise((resolve) => entry.waiting.push({ count, resolve }));
  },

  closeChannel(peerId, id) {
    peers.get(peerId).channels.get(id).channel.close();
  },

  close(peerId) {
    peers.get(peerId).connection.close();
  },

  /** Closes everything and lets the process end. */
  shutdown() {
    for (const { connection } of peers.values()) {
      connection.close();
    }
    setImmediate(() => {
      ndc.cleanup();
      process.disconnect();
      process.exit(0);
    });
  },
};

process.on('message', async ({ request, method, args }) => {
  try {
    tell({ request, result: await methods[method](...args) });
  } catch (error) {
    tell({ request, error: String(error) });
  }
});

process.on('disconnect', () => process.exit(0));
