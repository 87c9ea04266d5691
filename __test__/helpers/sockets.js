'use strict';

// UDP sockets and ports of tests. Plain JavaScript, because `BadNetwork.js` is.

const dgram = require('node:dgram');
const { once } = require('node:events');

/**
 * A UDP socket bound to `ip` and `port` (0: any).
 *
 * @returns {Promise<dgram.Socket>}
 */
async function udpSocket(ip = '127.0.0.1', port = 0) {
  const socket = dgram.createSocket(ip.includes(':') ? 'udp6' : 'udp4');
  // A failed test may leave the socket open, which must not keep Jest from exiting.
  socket.unref();
  socket.bind(port, ip);
  await once(socket, 'listening');
  return socket;
}

/**
 * @param {dgram.Socket} socket
 * @returns {Promise<void>}
 */
async function closeSocket(socket) {
  const closed = once(socket, 'close');
  socket.close();
  await closed;
}

/**
 * A UDP port that was free a moment ago.
 *
 * @returns {Promise<number>}
 */
async function freePort(ip = '127.0.0.1') {
  const socket = await udpSocket(ip);
  const { port } = socket.address();
  await closeSocket(socket);
  return port;
}

/**
 * Whether `port` of `ip` is free.
 *
 * @param {string} ip
 * @param {number} port
 * @returns {Promise<boolean>}
 */
async function canBind(ip, port) {
  try {
    await closeSocket(await udpSocket(ip, port));
    return true;
  } catch {
    return false;
  }
}

module.exports = { canBind, closeSocket, freePort, udpSocket };
