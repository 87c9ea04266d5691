'use strict';

// A thread that never rests and sends each datagram back at once: how soon a busy thread of this machine can (busy.js).

const dgram = require('node:dgram');
const { parentPort } = require('node:worker_threads');

const socket = dgram.createSocket('udp4');

const spin = () => setImmediate(spin);

socket.on('message', (message, { port, address }) => socket.send(message, port, address));
socket.bind(0, '127.0.0.1', () => parentPort?.postMessage(socket.address()));
spin();
