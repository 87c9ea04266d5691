import { Worker as Thread } from 'node:worker_threads';
import type { types } from '..';
import { arrange, SOME_FINGERPRINTS, type Arrangement } from './helpers/arrangement';
import './helpers/closeWorkers';
import { bindingRequest } from './helpers/stun';
import { within } from './helpers/wait';

/** While JavaScript is blocked, the events that a peer causes take bounded memory, and are emitted in order. */

/** How often the peer changes its address. */
const MOVES = 2_000;

/**
 * A peer in a thread of its own, which moves between two addresses with each request, waits for each
 * answer, and wakes the thread that waits for `done`. `done[1]` is its last address.
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
      // A faster peer would exceed the worker's quota of STUN requests.
      await new Promise((resolve) => setTimeout(resolve, 1));
      done[1] = socket.address().port;
    }
    sockets.forEach((socket) => socket.close());
    Atomics.store(done, 0, 1);
    Atomics.notify(done, 0);
  })();`;

/** How often the peer connects over TCP, and hangs up. */
const CALLS = 20;

/**
 * A peer in a thread of its own, whose connections over TCP each last for one request, and which wakes the
 * thread that waits for `done`.
 */
const FICKLE_PEER = `
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
      // The worker has to see the end of this connection before the next one.
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

/** Does nothing while `peer` does its work in a thread of its own. */
async function blockedBy(peer: string, done: Int32Array, workerData: object): Promise<void> {
  const thread = new Thread(peer, { eval: true, workerData: { done, ...workerData } });
  const exited = new Promise((resolve) => thread.once('exit', resolve));
  await within(new Promise((resolve) => thread.once('online', resolve)), 'the peer');
  expect(Atomics.wait(done, 0, 0, 30_000)).not.toBe('timed-out');
  await exited;
}

test('a peer that moves on and on: the latest moves are emitted, the others counted', async () => {
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
  // All changes of the first turn are emitted; later ones are merged, except for 8.
  expect(tuples.length).toBeLessThan(MOVES / 10);
  expect(eventsMerged).toBeGreaterThan(MOVES / 2);
  expect(webRtcTransport.iceState).toBe('completed');
});

test('a peer that connects and hangs up over and over: no state is emitted twice in a row', async () => {
  const { router, worker } = objects;
  const transport = await router.createWebRtcTransport({
    listenInfos: [{ protocol: 'tcp', ip: '127.0.0.1' }],
    enableTcp: true,
  });
  const { usernameFragment, password } = transport.iceParameters;
  const states: types.IceState[] = [];
  transport.on('icestatechange', (state) => states.push(state));

  await blockedBy(FICKLE_PEER, new Int32Array(new SharedArrayBuffer(4)), {
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
