'use strict';

// The WebSocket: requests from the page, answers and notifications to it, one JSON object each.
//
//   page → server   { id, method, data }
//   server → page   { id, ok: true, data } | { id, ok: false, error }
//   server → page   { event, data }
//
// Pages are not trusted. The answer to an invalid request is an error. A page that floods, or sends more than
// MAX_MESSAGE_BYTES at once, is disconnected (1008, 1009). Requests of one socket run one at a time, so that they
// cannot race.

const { RequestError, integer, object, oneOf, text } = require('./validate');

const MAX_MESSAGE_BYTES = 16 * 1024;
const MAX_WAITING_REQUESTS = 256;
/** A page with this much unsent data is considered gone. */
const MAX_UNSENT_BYTES = 1024 * 1024;
const HEARTBEAT_MS = 10_000;

/** The requests of a peer that has joined; see handleSocket for `join`. */
const METHODS = {
  createTransport: (peer, data) =>
    peer.createTransport(oneOf(data.direction, 'direction', ['send', 'recv'])),

  connectTransport: (peer, data) =>
    peer.connectTransport(
      oneOf(data.direction, 'direction', ['send', 'recv']),
      object(data.dtlsParameters, 'dtlsParameters'),
    ),

  restartIce: (peer, data) => peer.restartIce(oneOf(data.direction, 'direction', ['send', 'recv'])),

  produceData: (peer, data) =>
    peer.produceData({
      label: oneOf(data.label, 'label', ['chat', 'cursor', 'ping']),
      sctpStreamParameters: object(data.sctpStreamParameters, 'sctpStreamParameters'),
    }),

  consumeAll: (peer) => peer.consumeAll(),

  resumeDataConsumer: (peer, data) => peer.resumeDataConsumer(text(data.id, 'id', 36)),
};

function handleSocket(socket, rooms) {
  let peer;
  let waiting = 0;
  let alive = true;
  let turn = Promise.resolve();

  const send = (message) => {
    if (socket.bufferedAmount > MAX_UNSENT_BYTES) socket.terminate();
    if (socket.readyState === socket.OPEN) socket.send(JSON.stringify(message));
  };

  const join = async (data) => {
    if (peer) throw new RequestError('this page has already joined a room');

    const name = text(data.name, 'name', 24);
    const room = await rooms.open(roomName(data.room));
    // The tab may have been closed while the room opened.
    if (socket.readyState !== socket.OPEN) {
      rooms.closeIfEmpty(room);
      return undefined;
    }

    peer = room.add({
      name,
      notify: (event, payload) => send({ event, data: payload }),
      // 4000: without the data connection the socket is of no use.
      onClose: () => socket.close(4000, 'data connection closed'),
    });

    return room.describeTo(peer);
  };

  const answer = async (message) => {
    let id = null;
    try {
      const request = object(parse(message), 'request');
      id = integer(request.id, 'id');
      const data = object(request.data ?? {}, 'data');
      const method = oneOf(request.method, 'method', ['join', ...Object.keys(METHODS)]);

      if (method !== 'join' && !peer) throw new RequestError('this page has not joined a room yet');
      const result = method === 'join' ? await join(data) : await METHODS[method](peer, data);
      send({ id, ok: true, data: result ?? {} });
    } catch (error) {
      // datasoup throws a TypeError for invalid arguments, which are the page's.
      const expected = error instanceof RequestError || error instanceof TypeError || peer?.closed;
      if (!expected) console.error('A request failed:', error);
      send({ id, ok: false, error: expected ? error.message : 'internal error' });
    }
  };

  socket.on('message', (message, isBinary) => {
    if (waiting === MAX_WAITING_REQUESTS) return socket.close(1008, 'too many requests');

    waiting += 1;
    turn = turn.then(() => answer(isBinary ? '' : message)).finally(() => (waiting -= 1));
  });

  // A heartbeat is needed, because a machine that goes to sleep does not close its socket.
  socket.on('pong', () => (alive = true));
  const heartbeat = setInterval(() => {
    if (!alive) return socket.terminate();

    alive = false;
    socket.ping();
  }, HEARTBEAT_MS);

  // An error needs no handling, because 'close' follows.
  socket.on('error', () => {});
  socket.on('close', () => {
    clearInterval(heartbeat);
    peer?.close('left');
  });
}

function parse(message) {
  try {
    return JSON.parse(message);
  } catch {
    throw new RequestError('the message is not JSON');
  }
}

function roomName(value) {
  const name = text(value, 'room', 32);
  if (!/^[\p{L}\p{N}_-]+$/u.test(name)) {
    throw new RequestError('room may contain only letters, digits, - and _');
  }

  return name.toLowerCase();
}

module.exports = { handleSocket, MAX_MESSAGE_BYTES };
