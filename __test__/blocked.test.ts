import { Worker as Thread } from 'node:worker_threads';
import type { types } from '..';
import { arrange, SOME_FINGERPRINTS, type Arrangement } from './helpers/arrangement';
import './helpers/closeWorkers';
import { bindingRequest } from './helpers/stun';
import { within } from './helpers/wait';

/** While JavaScript is blocked, the worker keeps a bounded number of the events of a peer, in their order. */

/** The number of requests of the moving peer, each from its other address. */
const MOVES = 2_000;

/**
 * A peer in a thread of its own. It sends each request from the other of two addresses, waits for the answer,
 * and finally wakes the thread that waits for `done`. `done[1]` is its last port.
 */
const MOVING_PEER = `
  const { workerData: { done, request, port, moves } } = require('node:worker_threads');
  const dgram = require('node:dgram');
  const { once } = require('node:events');
  (async () => {
    const sockets = [0, 1].map(() => dgram.createSocket('udp4'));
    for (const socket of sockets) {
      socket.bind(0, '127.0.0.1');
      await once(socket, 'listening');
    }
    for (let move = 0; move < moves; move++) {
      const socket = sockets[move % 2];
      socket.send(request, port, '127.0.0.1');
      await once(socket, 'message');
      // Stay within the worker's quota of STUN requests that it verifies, because it drops requests beyond the quota.
      await new Promise((resolve) => setTimeout(resolve, 1));
      done[1] = socket.address().port;
    }
    sockets.forEach((socket) => socket.close());
    Atomics.store(done, 0, 1);
    Atomics.notify(done, 0);
  })();`;

/** The number of TCP connections of the reconnecting peer. */
const CALLS = 20;

/**
 * A peer in a thread of its own. It makes TCP connections for one request each, and finally wakes the thread
 * that waits for `done`.
 */
const RECONNECTING_PEER = `
  const { workerData: { done, request, port, calls } } = require('node:worker_threads');
  const net = require('node:net');
  const { once } = require('node:events');
  const { setTimeout: sleep } = require('node:timers/promises');
  (async () => {
    for (let call = 0; call < calls; call++) {
      const socket = net.connect(port, '127.0.0.1');
      // RFC 4571: a length in front of each datagram.
      socket.write(Buffer.from([request.length >> 8, request.length & 255]));
      socket.write(request);
      await once(socket, 'data');
      socket.destroy();
      // The worker must see the end of the connection before the next one begins.
      await sleep(10);
    }
    Atomics.store(done, 0, 1);
    Atomics.notify(done, 0);
  })();`;

let objects: Arrangement;

beforeEach(async () => {
  objects = await arrange();
});

afterEach(() => objects.worker.close());

/** Runs `peer` in a thread of its own, and blocks this one until the peer is done. */
async function blockedBy(peer: string, done: Int32Array, workerData: object): Promise<void> {
  const thread = new Thread(peer, { eval: true, workerData: { done, ...workerData } });
  const exited = new Promise((resolve) => thread.once('exit', resolve));
  await within(new Promise((resolve) => thread.once('online', resolve)), 'the peer');
  expect(Atomics.wait(done, 0, 0, 30_000)).not.toBe('timed-out');
  await exited;
}

test('a peer that changes its address 2,000 times: iceselectedtuplechange is emitted for the latest, eventsMerged counts the others', async () => {
  const { webRtcTransport, worker } = objects;
  const { usernameFragment, password } = webRtcTransport.iceParameters;
  const done = new Int32Array(new SharedArrayBuffer(8));
  await webRtcTransport.connect({ dtlsParameters: { fingerprints: SOME_FINGERPRINTS } });
  const tuples: types.TransportTuple[] = [];
  webRtcTransport.on('iceselectedtuplechange', (tuple) => tuples.push(tuple));

  await blockedBy(MOVING_PEER, done, {
    request: bindingRequest(`${usernameFragment}:peer`, password),
    port: webRtcTransport.iceCandidates[0]!.port,
    moves: MOVES,
  });

  const { eventsMerged } = await worker.dump();
  expect(webRtcTransport.iceSelectedTuple).toMatchObject({ remotePort: done[1] });
  expect(tuples.at(-1)).toEqual(webRtcTransport.iceSelectedTuple);
  // The outbox keeps 8 events of a topic, besides those of the first turn.
  expect(tuples.length).toBeLessThan(MOVES / 10);
  expect(eventsMerged).toBeGreaterThan(MOVES / 2);
  expect(webRtcTransport.iceState).toBe('completed');
});

test('a peer that reconnects over TCP 20 times: icestatechange is never emitted twice with the same state', async () => {
  const { router, worker } = objects;
  const transport = await router.createWebRtcTransport({
    listenInfos: [{ protocol: 'tcp', ip: '127.0.0.1' }],
  });
  const { usernameFragment, password } = transport.iceParameters;
  const states: types.IceState[] = [];
  transport.on('icestatechange', (state) => states.push(state));

  await blockedBy(RECONNECTING_PEER, new Int32Array(new SharedArrayBuffer(4)), {
    request: bindingRequest(`${usernameFragment}:peer`, password),
    port: transport.iceCandidates[0]!.port,
    calls: CALLS,
  });
  const { eventsMerged } = await worker.dump();

  expect(eventsMerged).toBeGreaterThan(0);
  expect(transport.iceState).toBe('disconnected');
  expect(states.at(-1)).toBe('disconnected');
  expect(states.filter((state, index) => state === states[index - 1])).toEqual([]);
});
