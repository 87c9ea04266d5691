'use strict';

// Moves the messages of DataProducers between hosts.
//
//   producer → its Router → tunnel → gateway → pipe (DTLS) → gateway → tunnel → Router → consumers
//
// The gateway is a Router in a Worker of its own. It keeps the id of each DataProducer, and sends to other hosts only
// what Routers of this host produce, so no loops can form. A pipe that has failed stays open until the DataProducers
// that came through it have moved to the next one: their DataConsumers stay. What is asked for one id is done in that
// order.

const { MAX_UINT16 } = require('../options/validate');
const { LOOPBACK } = require('./Relay');
const { PIPE_QUEUE, QUEUE, TUNNEL } = require('./queues');

/** How many subscriptions for relays may wait for a bus that is down. */
const MAX_OPENING = 64;

/** How long a tunnel to the gateway stays after its last use, in milliseconds: paths that break come back. */
const LINGER = 60_000;

/** @import { Address, Carrier, Clock, Entry, Pipe, Plane, Subchannels } from './types' */
/** @typedef {import('../Router').Router<any>} Router */
/** @typedef {import('../DataProducer').DataProducer<any>} DataProducer */
/** @typedef {import('../DataConsumer').DataConsumer<any>} DataConsumer */
/** @typedef {import('../PipeTransport').PipeTransport<any>} PipeTransport */

/**
 * A DataProducer of another host on the gateway.
 *
 * @typedef {object} Taken
 * @property {DataProducer} dataProducer
 * @property {PipeEnd} pipe - that it is on.
 * @property {number} streamId
 */

/**
 * A DataProducer of this host on the gateway.
 *
 * @typedef {object} Tunnel
 * @property {DataProducer} dataProducer
 * @property {number} before - how many messages the original had received when the tunnel began.
 * @property {number} users - how many pipes it is sent over.
 * @property {() => void} cancel - ends the wait for its end.
 */

/**
 * What carries the datagrams of a pipe over the bus: see Relay.js.
 *
 * @typedef {object} RelayPort
 * @property {string} name
 * @property {number} port - on loopback.
 * @property {(port: number) => Promise<void>} attach - to the pipe that listens on a port of loopback.
 * @property {(name: string) => void} connect - to the relay of the far end.
 * @property {() => void} close
 */

/** @implements {Plane} */
class DataPlane {
  #gateway;
  #listenInfo;
  #lease;
  #clock;
  #find;
  #drain;
  #openRelay;
  /** How many relays have no subscription in force yet. */
  #opening = 0;
  /** The DataProducers of other hosts, by id. @type {Map<string, Taken>} */
  #taken = new Map();
  /** By id: resolves once the last request for it is done. @type {Map<string, Promise<void>>} */
  #turns = new Map();
  /** @type {Map<string, Promise<Tunnel>>} */
  #tunnels = new Map();
  /** @type {Set<PipeEnd>} */
  #pipes = new Set();

  /**
   * @param {object} options
   * @param {Router} options.gateway
   * @param {import('../..').TransportListenInfo} options.listenInfo
   * @param {number} options.lease - in milliseconds.
   * @param {Clock} options.clock
   * @param {(id: string) => { router: Router, dataProducer: DataProducer } | undefined} options.find - a DataProducer
   * that this host has announced.
   * @param {(id: string) => Promise<void>} options.drain - resolves once the DataConsumers of this host have what has
   * come.
   * @param {() => Promise<RelayPort>} options.openRelay
   */
  constructor({ gateway, listenInfo, lease, clock, find, drain, openRelay }) {
    this.#gateway = gateway;
    this.#listenInfo = listenInfo;
    this.#lease = lease;
    this.#clock = clock;
    this.#find = find;
    this.#drain = drain;
    this.#openRelay = openRelay;
  }

  /**
   * @param {Carrier} carrier
   * @param {(error: Error | undefined, pipe?: Pipe) => void} done
   */
  createPipe(carrier, done) {
    this.#createPipe(carrier).then((pipe) => done(undefined, pipe), done);
  }

  /** @param {Carrier} carrier */
  async #createPipe(carrier) {
    const relay = carrier === 'bus' ? await this.#open() : undefined;

    /** @type {PipeTransport | undefined} */
    let transport;

    try {
      transport = await this.#gateway.createPipeTransport({
        listenInfo: relay ? { protocol: 'udp', ip: LOOPBACK } : this.#listenInfo,
        enableSctp: true,
        enableDtls: true,
        sctpSendBufferSize: PIPE_QUEUE,
        sctpSilence: Math.max(1000, this.#lease),
        numSctpStreams: { OS: MAX_UINT16, MIS: MAX_UINT16 },
      });
      await relay?.attach(transport.tuple.localPort);

      const pipe = new PipeEnd(this, transport, relay);

      this.#pipes.add(pipe);
      return pipe;
    } catch (error) {
      transport?.close();
      relay?.close();
      throw error;
    }
  }

  async #open() {
    if (this.#opening >= MAX_OPENING) {
      throw new Error('the bus has not confirmed the subscriptions of other pipes');
    }
    this.#opening += 1;
    try {
      return await this.#openRelay();
    } finally {
      this.#opening -= 1;
    }
  }

  /** @param {string} id */
  untake(id) {
    // Begins now: this host forgets the path as soon as this call returns.
    const drained = this.#drain(id);

    void this.#inTurn(id, async () => {
      const taken = this.#taken.get(id);

      if (taken) {
        await drained;
        this.#taken.delete(id);
        taken.dataProducer.close();
        this.#leavePipe(taken);
      }
    });
  }

  /**
   * @param {PipeEnd} pipe
   * @param {PipeTransport} transport
   * @param {Entry} entry
   * @param {number} streamId
   * @returns {Promise<number>} how many messages the DataProducer had received.
   */
  take(pipe, transport, entry, streamId) {
    return this.#inTurn(entry.id, async () => {
      // The pipe may have failed while others had their turn.
      if (pipe.closed) {
        throw new Error('the pipe is closed');
      }

      const { id, label, protocol, ordered, maxPacketLifeTime, maxRetransmits, retain } = entry;
      const sctpStreamParameters = { streamId, ordered, maxPacketLifeTime, maxRetransmits };
      const former = this.#taken.get(id);

      if (former?.dataProducer.closed === false) {
        await former.dataProducer.moveTo(transport, { sctpStreamParameters });
        this.#leavePipe(former);
        Object.assign(former, { pipe, streamId });
        return (await former.dataProducer.getStats())[0].messagesReceived;
      }
      if (former) {
        this.#leavePipe(former);
      }

      const dataProducer = await transport.produceData({
        id,
        label,
        protocol,
        retain,
        sctpStreamParameters,
      });
      const taken = { dataProducer, pipe, streamId };

      this.#taken.set(id, taken);
      dataProducer.on('streamclose', () => {
        if (this.#taken.get(id) === taken && !taken.pipe.closed) {
          taken.pipe.onstreamclosed(id);
        }
      });
      return 0;
    });
  }

  /**
   * Ends a pipe that is closed, once no DataProducer is on it or on its way to it.
   *
   * @param {PipeEnd} pipe
   */
  release(pipe) {
    if (pipe.closed && pipe.unused) {
      this.#pipes.delete(pipe);
      pipe.end();
    }
  }

  /**
   * Brings a DataProducer of this host to the gateway, for a pipe, which calls `leave()` when it is done with it.
   *
   * @param {string} id
   * @returns {Promise<Tunnel | undefined>} undefined if there is none.
   */
  async tunnel(id) {
    const found = this.#find(id);

    if (!found) {
      return undefined;
    }

    let making = this.#tunnels.get(id);

    if (!making) {
      // A DataProducer that came from another host may still have the id.
      making = this.#inTurn(id, () => this.#makeTunnel(found));
      this.#tunnels.set(id, making);
      making.then(
        (tunnel) => {
          const onClosed = () => {
            tunnel.cancel();
            this.#forget(id, making);
          };

          // It may have closed with the last answer that the tunnel waited for.
          if (tunnel.dataProducer.closed) {
            onClosed();
          } else {
            tunnel.dataProducer.observer.once('close', onClosed);
          }
        },
        () => this.#forget(id, making),
      );
    }

    const tunnel = await making;

    tunnel.cancel();
    tunnel.users += 1;
    return tunnel;
  }

  /** @param {Tunnel} tunnel */
  leave(tunnel) {
    tunnel.users -= 1;
    if (tunnel.users === 0 && !tunnel.dataProducer.closed) {
      tunnel.cancel = this.#clock.after(LINGER, () => tunnel.dataProducer.close());
    }
  }

  /** Resolves once all that was sent to other hosts has arrived there, or after some time. */
  async drained(/** @type {number} */ timeout) {
    await Promise.allSettled([...this.#pipes].map((pipe) => pipe.drained(timeout)));
  }

  /**
   * Does what is asked for an id once what was asked before is done.
   *
   * @template T
   * @param {string} id
   * @param {() => Promise<T>} work
   * @returns {Promise<T>}
   */
  #inTurn(id, work) {
    const turn = (this.#turns.get(id) ?? Promise.resolve()).then(work);
    const end = turn.then(
      () => {},
      () => {},
    );

    this.#turns.set(id, end);
    void end.then(() => {
      if (this.#turns.get(id) === end) {
        this.#turns.delete(id);
      }
    });
    return turn;
  }

  /** @param {Taken} taken */
  #leavePipe({ pipe, streamId }) {
    pipe.freeStream(streamId);
    this.release(pipe);
  }

  /**
   * @param {string} id
   * @param {Promise<Tunnel> | undefined} making
   */
  #forget(id, making) {
    if (this.#tunnels.get(id) === making) {
      this.#tunnels.delete(id);
    }
  }

  /**
   * @param {{ router: Router, dataProducer: DataProducer }} found
   * @returns {Promise<Tunnel>}
   */
  async #makeTunnel({ router, dataProducer }) {
    const piping = { ...TUNNEL, dataProducerId: dataProducer.id, router: this.#gateway };

    // The counters have to be those of the moment in which the tunnel begins, so both are asked for in one macrotask
    // below. This first call makes the transports, which takes longer.
    const first = await router.pipeToRouter(piping);

    first.pipeDataConsumer?.close();

    const [[{ messagesReceived }], { pipeDataProducer, pipeDataConsumer }] = await Promise.all([
      dataProducer.getStats(),
      router.pipeToRouter(piping),
    ]);
    // What came before the far end was there is lost.
    const [{ messagesPaused }] = await /** @type {DataConsumer} */ (pipeDataConsumer).getStats();

    return {
      dataProducer: /** @type {DataProducer} */ (pipeDataProducer),
      before: messagesReceived + messagesPaused,
      users: 0,
      cancel() {},
    };
  }
}

/** @implements {Pipe} */
class PipeEnd {
  #plane;
  #transport;
  #relay;
  /** @type {Map<string, { dataConsumer: DataConsumer, streamId: number, at: number }>} */
  #carried = new Map();
  /** Streams of DataProducers that are on this pipe, or on their way to it. @type {Set<number>} */
  #streams = new Set();
  #nextStreamId = 0;
  silence = Infinity;
  closed = false;
  /** @type {(error?: Error) => void} */
  onclosed = () => {};
  /** @type {(id: string) => void} */
  onstreamclosed = () => {};

  /**
   * @param {DataPlane} plane
   * @param {PipeTransport} transport
   * @param {RelayPort} [relay]
   */
  constructor(plane, transport, relay) {
    this.#plane = plane;
    this.#transport = transport;
    this.#relay = relay;

    const onState = (/** @type {string} */ what, /** @type {string} */ state) => {
      if (state === 'failed') {
        this.#fail(new Error(what));
      } else if (state === 'closed') {
        this.#fail();
      }
    };

    transport.on('sctpstatechange', (/** @type {string} */ state) =>
      onState('nothing came through the pipe for a lease', state),
    );
    transport.on('dtlsstatechange', (/** @type {string} */ state) =>
      onState('the DTLS handshake of the pipe failed', state),
    );
    transport.observer.once('close', () => this.#fail());
  }

  /** @returns {Address} */
  get address() {
    const { localAddress, localPort } = this.#transport.tuple;
    const fingerprints = this.#transport.dtlsParameters?.fingerprints ?? [];
    const fingerprint = fingerprints.find(({ algorithm }) => algorithm === 'sha-256')?.value ?? '';

    return this.#relay
      ? { bus: this.#relay.name, fingerprint }
      : { address: localAddress, port: localPort, fingerprint };
  }

  /** Whether no DataProducer is on this pipe, or on its way to it. */
  get unused() {
    return this.#streams.size === 0;
  }

  /**
   * @param {Address} far
   * @param {'taker' | 'origin'} role
   * @param {(error?: Error) => void} done
   */
  connect({ address, port, bus, fingerprint: value }, role, done) {
    const transport = this.#transport;
    // The role is that of the far end: the taker is the client.
    const far =
      role === 'taker' ? /** @type {const} */ ('server') : /** @type {const} */ ('client');
    /** @type {import('../..').DtlsParameters} */
    const dtlsParameters = { role: far, fingerprints: [{ algorithm: 'sha-256', value }] };
    const remote = this.#relay
      ? { ip: LOOPBACK, port: this.#relay.port }
      : { ip: /** @type {string} */ (address), port };

    this.#relay?.connect(/** @type {string} */ (bus));

    // The association begins with the first stream.
    transport.on('dtlsstatechange', (/** @type {string} */ state) => {
      if (state === 'connected' && !this.closed) {
        done();
      }
    });
    transport.connect({ ...remote, dtlsParameters }).catch((error) => this.closed || done(error));
  }

  look() {
    this.#transport.getStats().then(
      ([{ timestamp, lastHeard = -Infinity }]) => {
        this.silence = timestamp - lastHeard;
      },
      () => {},
    );
  }

  /**
   * @param {Entry} entry
   * @param {(error: Error | undefined, taken?: { streamId: number, received: number }) => void} done
   */
  take(entry, done) {
    const streamId = this.#freeStreamId();

    if (streamId === undefined) {
      done(new Error('all streams of the pipe are in use'));
      return;
    }
    this.#streams.add(streamId);
    this.#plane.take(this, this.#transport, entry, streamId).then(
      (received) => done(undefined, { streamId, received }),
      (error) => {
        this.freeStream(streamId);
        this.#plane.release(this);
        done(error);
      },
    );
  }

  /** @param {number} streamId */
  freeStream(streamId) {
    this.#streams.delete(streamId);
  }

  /**
   * @param {string} id
   * @param {Subchannels} subchannels
   * @param {number} streamId
   * @param {boolean} again
   * @param {(error: Error | undefined, at?: number | null) => void} done
   */
  carry(id, subchannels, streamId, again, done) {
    this.#carry(id, subchannels, streamId, again).then((at) => done(undefined, at), done);
  }

  /**
   * @param {string} id
   * @param {Subchannels} subchannels
   * @param {number} streamId
   * @param {boolean} again
   * @returns {Promise<number | null>}
   */
  async #carry(id, subchannels, streamId, again) {
    const former = this.#carried.get(id);

    if (former?.streamId === streamId && !former.dataConsumer.closed) {
      if (subchannels !== true) {
        await former.dataConsumer.setSubchannels(subchannels);
      }
      return former.at;
    }

    const tunnel = await this.#plane.tunnel(id);

    if (!tunnel) {
      return null;
    }
    try {
      return this.closed ? null : await this.#send(tunnel, id, subchannels, streamId, again);
    } finally {
      // If a stream has begun, it counts as a user of the tunnel on its own.
      this.#plane.leave(tunnel);
    }
  }

  /**
   * @param {Tunnel} tunnel
   * @param {string} id
   * @param {Subchannels} subchannels
   * @param {number} streamId
   * @param {boolean} again
   * @returns {Promise<number>}
   */
  async #send(tunnel, id, subchannels, streamId, again) {
    this.#carried.get(id)?.dataConsumer.close();

    const { dataProducer, before } = tunnel;
    const [[{ messagesReceived }], dataConsumer] = await Promise.all([
      dataProducer.getStats(),
      this.#transport.consumeData({
        dataProducerId: id,
        streamId,
        subchannels: subchannels === true ? [] : subchannels,
        strictSubchannels: subchannels !== true,
        retained: !again,
        maxBufferedAmount: QUEUE,
      }),
    ]);
    const at = before + messagesReceived;

    if (!dataConsumer.closed) {
      tunnel.users += 1;
      this.#carried.set(id, { dataConsumer, streamId, at });
      dataConsumer.observer.once('close', () => {
        this.#carried.delete(id);
        this.#plane.leave(tunnel);
      });
    }
    return at;
  }

  /** @param {string} id */
  stop(id) {
    this.#carried.get(id)?.dataConsumer.close();
  }

  /** @param {number} timeout - in milliseconds. */
  async drained(timeout) {
    if (this.#carried.size > 0) {
      await this.#transport.drained({ timeout });
    }
  }

  close() {
    if (!this.closed) {
      this.closed = true;
      this.#plane.release(this);
    }
  }

  /** Closes the transport. */
  end() {
    this.#transport.close();
    this.#relay?.close();
  }

  /** The next stream id that is not in use. @returns {number | undefined} */
  #freeStreamId() {
    if (this.#streams.size >= MAX_UINT16) {
      return undefined;
    }
    while (this.#streams.has(this.#nextStreamId)) {
      this.#nextStreamId = (this.#nextStreamId + 1) % MAX_UINT16;
    }

    const streamId = this.#nextStreamId;

    this.#nextStreamId = (streamId + 1) % MAX_UINT16;
    return streamId;
  }

  /** @param {Error} [error] */
  #fail(error) {
    if (!this.closed) {
      this.onclosed(error);
    }
  }
}

exports.DataPlane = DataPlane;
