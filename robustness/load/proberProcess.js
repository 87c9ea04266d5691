'use strict';

// The process of Prober (prober.js).

const { createHmac, randomBytes } = require('node:crypto');
const dgram = require('node:dgram');
const { once } = require('node:events');
const { performance } = require('node:perf_hooks');
const { setTimeout: sleep } = require('node:timers/promises');

const { serve } = require('../../bench/processes/host');

/** How long answers are waited for at the end. */
const PATIENCE_MS = 10_000;

/** The offset and the length of the transaction id of a STUN message (RFC 8489 §5). */
const ID = 8;
const ID_LENGTH = 12;

/**
 * A Binding request with USERNAME and MESSAGE-INTEGRITY (RFC 8489 §14).
 *
 * @param {string} username
 * @param {string} password
 */
function bindingRequest(username, password) {
  const attribute = (/** @type {number} */ type, /** @type {Buffer} */ value) => {
    const header = Buffer.alloc(4);

    header.writeUInt16BE(type, 0);
    header.writeUInt16BE(value.length, 2);
    return Buffer.concat([header, value, Buffer.alloc((4 - (value.length % 4)) % 4)]);
  };
  const body = attribute(0x0006, Buffer.from(username));
  const header = Buffer.from('000100002112a442', 'hex');

  header.writeUInt16BE(body.length + 24, 2);

  const signed = Buffer.concat([header, randomBytes(ID_LENGTH), body]);

  return Buffer.concat([
    signed,
    attribute(0x0008, createHmac('sha1', password).update(signed).digest()),
  ]);
}

/** @typedef {{ address: string, port: number, usernameFragment: string, password: string }} Target */

/** @param {{ targets: Target[], seconds: number, everyMs: number }} options */
async function probe({ targets, seconds, everyMs }) {
  const socket = dgram.createSocket('udp4');
  /** @type {Map<string, { sent: number, to: number[] }>} */
  const waiting = new Map();
  /** @type {number[][]} */
  const trips = targets.map(() => []);
  const arrived = (/** @type {string} */ key) => {
    const request = waiting.get(key);

    waiting.delete(key);
    request?.to.push((performance.now() - request.sent) * 1_000);
  };
  const keyOf = (/** @type {Buffer} */ message) => message.toString('hex', ID, ID + ID_LENGTH);

  socket.bind(0, '127.0.0.1');
  await once(socket, 'listening');
  socket.on('message', (answer) => arrived(keyOf(answer)));

  for (let n = 0, end = performance.now() + seconds * 1_000; performance.now() < end; n++) {
    const { address, port, usernameFragment, password } = targets[n % targets.length];
    const request = bindingRequest(`${usernameFragment}:probe`, password);

    waiting.set(keyOf(request), { sent: performance.now(), to: trips[n % targets.length] });
    socket.send(request, port, address);
    await sleep(everyMs);
  }
  for (const end = performance.now() + PATIENCE_MS; waiting.size > 0 && performance.now() < end;) {
    await sleep(5);
  }
  socket.close();
  [...waiting.keys()].forEach(arrived);
  return trips;
}

/** @param {number} port */
async function free(port) {
  for (;;) {
    const socket = dgram.createSocket('udp4');

    socket.bind({ port, address: '127.0.0.1', exclusive: true });
    try {
      await once(socket, 'listening');
      return Date.now();
    } catch {
      await sleep(2);
    } finally {
      socket.close();
    }
  }
}

serve({ probe, free });
