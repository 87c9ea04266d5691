'use strict';

// Moves the messages of DataProducers between hosts.
//
//   producer → its Router → tunnel → gateway → pipe (DTLS) → gateway → tunnel → Router → consumers
//
// The gateway is a Router in a Worker of its own. It keeps the id of each DataProducer, and sends to other hosts only what
// Routers of this host produce, so no loops can form. A pipe that has failed stays open until the DataProducers that
// came through it have moved to the next one: their DataConsumers stay.

const { MAX_UINT16 } = require('../options/validate');

/** How many bytes of a DataProducer may wait for another host. */
const QUEUE = 16 * 1024 * 1024;

/** For how long a tunnel to the gateway stays that no host needs, in milliseconds: paths that break come back. */
const LINGER = 60_000;

/** @import { Address, Entry, Pipe as PipePort, Plane, Subchannels } from './types' */
/** @typedef {import('../Router').Router<any>} Router */
/** @typedef {import('../DataProducer').DataProducer<any>} DataProducer */
/** @typedef {import('../DataConsumer').DataConsumer<any>} DataConsumer */
/** @typedef {import('../PipeTransport').PipeTransport<any>} PipeTransport */

/**
 * A DataProducer of this host on the gateway.
 *
 * @typedef {object} Tunnel
 * @property {DataProducer} dataProducer
 * @property {number} before - what the original had received when the tunnel began.
 * @property {Set<Pipe>} users
 */

/** @implements {Plane} */
class DataPlane {
  #gateway;
  #listenInfo;
  #lease;
  #find;
  #drain;
  /** What has come through pipes. @type {Map<string, { dataProducer: DataProducer, pipe: Pipe }>} */
  #taken = new Map();
  /** What has to be taken no more, until DataConsumers have what has arrived. @type {Map<string, { pipe: Pipe, ended: Promise<void> }>} */
  #ending = new Map();
  /** @type {Map<string, Promise<Tunnel>>} */
  #tunnels = new Map();
  /** @type {Set<Pipe>} */
  #pipes = new Set();

  /**
   * @param {object} options
   * @param {Router} options.gateway
   * @param {import('../..').TransportListenInfo} options.listenInfo
   * @param {number} options.lease - in milliseconds.
   * @param {(id: string) => { router: Router, dataProducer: DataProducer } | undefined} options.find - a DataProducer
   * that this host has announced.
   * @param {(id: string) => Promise<void>} options.drain - resolves once the DataConsumers of this host have what has come.
   */
  constructor({ gateway, listenInfo, lease, find, drain }) {
    this.#gateway = gateway;
    this.#listenInfo = listenInfo;
    this.#lease = lease;
    this.#find = find;
    this.#drain = drain;
  }

  /** @param {(error: Error | undefined, pipe?: PipePort) => void} done */
  createPipe(done) {
    this.#createPipe().then((pipe) => done(undefined, pipe), done);
  }

  async #createPipe() {
    const transport = await this.#gateway.createPipeTransport({
      listenInfo: this.#listenInfo,
      enableSctp: true,
      enableDtls: true,
      sctpSilence: Math.max(1000, this.#lease),
      numSctpStreams: { OS: MAX_UINT16, MIS: MAX_UINT16 },
    });
    const pipe = new Pipe(this, transport);

    this.#pipes.add(pipe);
    return pipe;
  }

  /** @param {string} id */
  untake(id) {
    const taken = this.#taken.get(id);

    if (!taken) {
      return;
    }

    const ended = this.#drain(id).finally(() => {
      this.#ending.delete(id);
      taken.dataProducer.close();
      this.release(taken.pipe);
    });

    this.#taken.delete(id);
    this.#ending.set(id, { pipe: taken.pipe, ended });
  }

  /**
   * The DataProducer of another host, on the gateway.
   *
   * @param {string} id
   * @returns {DataProducer | undefined}
   */
  taken(id) {
    return this.#taken.get(id)?.dataProducer;
  }

  /**
   * @param {Pipe} pipe
   * @param {PipeTransport} transport
   * @param {Entry} entry
   * @param {number} streamId
   * @returns {Promise<number>} what the DataProducer had received.
   */
  async take(pipe, transport, entry, streamId) {
    const { id, label, protocol, ordered, maxPacketLifeTime, maxRetransmits, retain } = entry;
    const sctpStreamParameters = { streamId, ordered, maxPacketLifeTime, maxRetransmits };
    const former = this.#taken.get(id);

    if (former && !former.dataProducer.closed) {
      const { dataProducer, pipe: formerPipe } = former;

      await dataProducer.moveTo(transport, { sctpStreamParameters });
      if (this.#taken.get(id) === former) {
        this.#taken.set(id, { dataProducer, pipe });
      }
      this.release(formerPipe);
      return (await dataProducer.getStats())[0].messagesReceived;
    }

    await this.#ending.get(id)?.ended;

    const dataProducer = await transport.produceData({
      id,
      label,
      protocol,
      retain,
      sctpStreamParameters,
    });

    this.#taken.set(id, { dataProducer, pipe });
    dataProducer.on('streamclose', () => {
      const taken = this.#taken.get(id);

      if (taken?.dataProducer === dataProducer && !taken.pipe.closed) {
        taken.pipe.onstreamclosed(id);
      }
    });
    return 0;
  }

  /**
   * Ends a pipe that is closed, once nothing stays on it.
   *
   * @param {Pipe} pipe
   */
  release(pipe) {
    const there = [...this.#taken.values(), ...this.#ending.values()];

    if (pipe.closed && !there.some((each) => each.pipe === pipe)) {
      this.#pipes.delete(pipe);
      pipe.end();
    }
  }

  /**
   * Brings a DataProducer of this host to the gateway, for a pipe.
   *
   * @param {string} id
   * @param {Pipe} pipe
   * @returns {Promise<Tunnel | undefined>} undefined if there is none.
   */
  async tunnel(id, pipe) {
    const found = this.#find(id);

    if (!found) {
      return undefined;
    }

    let making = this.#tunnels.get(id);

    if (!making) {
      making = this.#makeTunnel(found);
      this.#tunnels.set(id, making);
      making.then(
        ({ dataProducer }) => dataProducer.observer.once('close', () => this.#forget(id, making)),
        () => this.#forget(id, making),
      );
    }

    const tunnel = await making;

    tunnel.users.add(pipe);
    return tunnel;
  }

  /**
   * @param {string} id
   * @param {Pipe} pipe
   */
  leaveTunnel(id, pipe) {
    const making = this.#tunnels.get(id);

    making?.then(
      (tunnel) => {
        tunnel.users.delete(pipe);
        if (tunnel.users.size === 0) {
          setTimeout(() => tunnel.users.size === 0 && tunnel.dataProducer.close(), LINGER).unref();
        }
      },
      () => {},
    );
  }

  /** Resolves once all that was sent to other hosts has arrived there, or after some time. */
  async drained(/** @type {number} */ timeout) {
    await Promise.allSettled([...this.#pipes].map((pipe) => pipe.drained(timeout)));
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
    const piping = { dataProducerId: dataProducer.id, router: this.#gateway };

    // What is asked in one macrotask sees one instant, but the first call has to make the transports of the tunnel.
    const first = await router.pipeToRouter(piping);

    first.pipeDataConsumer?.close();

    const [[{ messagesReceived }], { pipeDataProducer }] = await Promise.all([
      dataProducer.getStats(),
      router.pipeToRouter(piping),
    ]);

    return {
      dataProducer: /** @type {DataProducer} */ (pipeDataProducer),
      before: messagesReceived,
      users: new Set(),
    };
  }
}

/** @implements {PipePort} */
class Pipe {
  #plane;
  #transport;
  /** @type {Map<string, { dataConsumer: DataConsumer, streamId: number, at: number }>} */
  #carried = new Map();
  #nextStreamId = 0;
  silence = Infinity;
  closed = false;
  onclosed = () => {};
  /** @type {(id: string) => void} */
  onstreamclosed = () => {};

  /**
   * @param {DataPlane} plane
   * @param {PipeTransport} transport
   */
  constructor(plane, transport) {
    this.#plane = plane;
    this.#transport = transport;
    transport.on('sctpstatechange', (/** @type {string} */ state) => {
      if (state === 'failed' || state === 'closed') {
        this.#fail();
      }
    });
    transport.on('dtlsstatechange', (/** @type {string} */ state) => {
      if (state === 'failed' || state === 'closed') {
        this.#fail();
      }
    });
    transport.observer.once('close', () => this.#fail());
  }

  get address() {
    const { localAddress, localPort } = this.#transport.tuple;
    const fingerprints = this.#transport.dtlsParameters?.fingerprints ?? [];
    const sha256 = fingerprints.find(({ algorithm }) => algorithm === 'sha-256');

    return { address: localAddress, port: localPort, fingerprint: sha256?.value ?? '' };
  }

  /**
   * @param {Address} far
   * @param {'taker' | 'origin'} role
   * @param {(error?: Error) => void} done
   */
  connect({ address: ip, port, fingerprint: value }, role, done) {
    const transport = this.#transport;
    // The role is that of the far end: the taker is the client.
    const far =
      role === 'taker' ? /** @type {const} */ ('server') : /** @type {const} */ ('client');
    /** @type {import('../..').DtlsParameters} */
    const dtlsParameters = { role: far, fingerprints: [{ algorithm: 'sha-256', value }] };

    // The association begins with the first stream.
    transport.on('dtlsstatechange', (/** @type {string} */ state) => {
      if (state === 'connected' && !this.closed) {
        done();
      }
    });
    transport.connect({ ip, port, dtlsParameters }).catch((error) => this.closed || done(error));
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
    const streamId = this.#nextStreamId;

    // Ids come again after 65,535 takes, when the first ones have been free for long.
    this.#nextStreamId = (streamId + 1) % MAX_UINT16;
    this.#plane
      .take(this, this.#transport, entry, streamId)
      .then((received) => done(undefined, { streamId, received }), done);
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

    const tunnel = await this.#plane.tunnel(id, this);

    if (!tunnel || this.closed) {
      return null;
    }
    former?.dataConsumer.close();

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

    this.#carried.set(id, { dataConsumer, streamId, at });
    dataConsumer.observer.once('close', () => {
      if (this.#carried.get(id)?.dataConsumer === dataConsumer) {
        this.#carried.delete(id);
        this.#plane.leaveTunnel(id, this);
      }
    });
    return at;
  }

  /** @param {string} id */
  drop(id) {
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
  }

  #fail() {
    if (!this.closed) {
      this.onclosed();
    }
  }
}

exports.DataPlane = DataPlane;
