'use strict';

// Floods a port as fast as Node.js can, until it is killed. `flood.js PROTOCOL PORT` gets the datagrams to send in a
// message from its parent.

const dgram = require('node:dgram');
const net = require('node:net');

const [, , protocol, port] = process.argv;

/** The number of TCP connections: more than the worker keeps open. */
const CONNECTIONS = 300;
/** Datagrams sent per turn of the event loop. */
const BATCH = 64;

/** @param {Buffer[]} datagrams */
function floodUdp(datagrams) {
  const socket = dgram.createSocket('udp4');
  let left = 0;

  function batch() {
    left = BATCH;
    for (let count = 0; count < BATCH; count++) {
      const datagram = datagrams[Math.floor(Math.random() * datagrams.length)] ?? Buffer.alloc(1);

      socket.send(datagram, sent);
    }
  }

  function sent() {
    left--;
    if (left === 0) {
      setImmediate(batch);
    }
  }

  socket.on('error', () => {});
  socket.connect(Number(port), '127.0.0.1', batch);
}

/** @param {Buffer[]} datagrams - sent with RFC 4571 framing */
function floodTcp(datagrams) {
  const frames = datagrams.map((datagram) => {
    const prefix = Buffer.alloc(2);

    prefix.writeUInt16BE(datagram.length);
    return Buffer.concat([prefix, datagram]);
  });
  const all = Buffer.concat(frames);
  const bytes = Buffer.concat(Array(Math.ceil(65_536 / all.length)).fill(all));

  function open() {
    const socket = net.connect(Number(port), '127.0.0.1');

    const write = () => {
      while (socket.writable && socket.write(bytes));
    };
    socket.on('connect', write);
    socket.on('drain', write);
    socket.on('data', () => {});
    socket.on('error', () => {});
    socket.on('close', () => setTimeout(open, 100));
  }

  for (let count = 0; count < CONNECTIONS; count++) {
    open();
  }
}

process.once('message', (/** @type {Uint8Array[]} */ datagrams) => {
  (protocol === 'udp' ? floodUdp : floodTcp)(datagrams.map((each) => Buffer.from(each)));
  process.send?.('begun');
});
process.on('disconnect', () => process.exit());
