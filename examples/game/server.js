'use strict';

// A game whose server decides: players send where they want to go, and the server moves them, 60 times per second.
// Run node examples/game/server.js, and open the printed address in two tabs.
//
//   channel 0   not ordered, not resent   inputs of a player        ▲    snapshots of the world   ▼
//   channel 1   ordered, reliable                                        events as JSON           ▼
//
// Events: { you, players } to the player who joined, and to no other; { joined } and { left } to all.

const path = require('node:path');

const { createWorker } = require('datasoup');

const { serve } = require('../offers');
const { answerOf, dtlsParametersOf } = require('../sdp');
const { World } = require('./world');

const TICK_MS = 1000 / 60;
/** After a longer pause the world goes on from now: it does not catch up. */
const MAX_LAG_MS = 250;
/** The time that a player has to connect. */
const CONNECT_MS = 15_000;
/** After this silence a player has left. In seconds; browsers send something every few seconds. */
const SILENCE_S = 10;
const MAX_PLAYERS = 32;
const MAX_INPUTS_PER_S = 250;
/** How long a snapshot may wait in the queue of its player. */
const MAX_AGE_MS = 50;

/** A later message makes an earlier one useless, so nothing is sent twice and nothing waits for its turn. */
const LATEST = { ordered: false, maxRetransmits: 0 };

class Game {
  #world = new World();
  #router;
  #direct;
  #snapshots;
  #events;
  #webRtcServer;
  /** Numbers in use: of players in the world, and of those who are about to connect. */
  #numbers = new Set();

  static async create(worker) {
    const router = await worker.createRouter();
    const direct = await router.createDirectTransport();

    return new Game({
      router,
      direct,
      snapshots: await direct.produceData({ label: 'snapshots' }),
      events: await direct.produceData({ label: 'events', protocol: 'json' }),
      // One UDP port for all players.
      webRtcServer: await worker.createWebRtcServer({
        listenInfos: [{ protocol: 'udp', ip: '0.0.0.0' }],
      }),
    });
  }

  constructor({ router, direct, snapshots, events, webRtcServer }) {
    this.#router = router;
    this.#direct = direct;
    this.#snapshots = snapshots;
    this.#events = events;
    this.#webRtcServer = webRtcServer;
  }

  /** Runs until the process ends. Ticks have a fixed length: the next timer makes up for a late one. */
  run(due = performance.now()) {
    const now = performance.now();
    if (now - due > MAX_LAG_MS) due = now;
    for (; due <= now; due += TICK_MS) this.#world.step();

    if (this.#world.numbers.length > 0) this.#send(this.#snapshots, this.#world.snapshot());
    setTimeout(() => this.run(due), due - performance.now());
  }

  /** Connects a player, and returns the SDP answer. */
  async join(offer) {
    const dtlsParameters = dtlsParametersOf(offer);
    if (this.#numbers.size >= MAX_PLAYERS) throw new Error('the game is full');

    const transport = await this.#router.createWebRtcTransport({
      webRtcServer: this.#webRtcServer,
      enableSctp: true,
      iceConsentTimeout: SILENCE_S,
      // Inputs of a cheat beyond this are dropped before they are parsed.
      limit: { messagesPerSecond: MAX_INPUTS_PER_S },
    });
    const number = this.#freeNumber();
    this.#watch(transport, number);
    try {
      await this.#connect(transport, number, dtlsParameters);
    } catch (error) {
      transport.close();
      throw error;
    }

    return answerOf(transport);
  }

  async #connect(transport, number, dtlsParameters) {
    await transport.connect({ dtlsParameters });
    const steering = await transport.produceData({
      sctpStreamParameters: { streamId: 0, ...LATEST },
    });
    const inputs = await this.#direct.consumeData({ dataProducerId: steering.id });
    inputs.on('message', (input) => this.#world.steer(number, input));

    // A player who cannot keep up gets fewer snapshots, but no old ones.
    await transport.consumeData({
      dataProducerId: this.#snapshots.id,
      streamId: 0,
      maxQueueDelay: MAX_AGE_MS,
      ...LATEST,
    });
    const events = await transport.consumeData({ dataProducerId: this.#events.id, streamId: 1 });
    transport.on('sctpstatechange', (state) => {
      if (state === 'connected') this.#enter(number, events);
    });
  }

  #enter(number, events) {
    this.#world.add(number);
    // To one player: not through the DataProducer, whose messages go to all.
    events.send(JSON.stringify({ you: number, players: this.#world.numbers })).catch((error) => {
      console.warn(`Player ${number} did not get the list of players: ${error.message}`);
    });
    this.#send(this.#events, JSON.stringify({ joined: number }));
  }

  /** A player leaves by closing the page ('closed'), or by silence ('disconnected', 'failed'). */
  #watch(transport, number) {
    const timer = setTimeout(() => transport.close(), CONNECT_MS);
    transport.on('icestatechange', (state) => {
      if (state === 'disconnected') transport.close();
    });
    transport.on('dtlsstatechange', (state) => {
      if (state === 'closed' || state === 'failed') transport.close();
    });
    transport.on('sctpstatechange', (state) => {
      if (state === 'connected') clearTimeout(timer);
      if (state === 'closed' || state === 'failed') transport.close();
    });
    transport.observer.once('close', () => {
      clearTimeout(timer);
      this.#numbers.delete(number);
      if (!this.#world.numbers.includes(number)) return;

      this.#world.remove(number);
      this.#send(this.#events, JSON.stringify({ left: number }));
    });
  }

  #freeNumber() {
    let number = 1;
    while (this.#numbers.has(number)) number += 1;
    this.#numbers.add(number);

    return number;
  }

  #send(producer, message) {
    if (producer.closed) return;

    try {
      producer.send(message);
    } catch (error) {
      // The queue is full: the worker is behind. The next snapshot has all that this one had.
      console.warn(`A message was not sent: ${error.message}`);
    }
  }
}

async function main(environment) {
  const game = await Game.create(await createWorker());

  serve(path.join(__dirname, 'index.html'), (offer) => game.join(offer), environment);
  game.run();
}

main(process.env);
