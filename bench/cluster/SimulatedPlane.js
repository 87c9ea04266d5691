'use strict';

/** @typedef {import('./Simulation').SimulatedHost} SimulatedHost */
/** @typedef {import('../../lib/cluster/types').Entry} Entry */
/** @typedef {import('../../lib/cluster/types').Address} Address */
/** @typedef {import('../../lib/cluster/types').Subchannels} Subchannels */

/** How long the worker takes for a request, in ms. */
const WORKER = 1;

/** How often a handshake is tried again, in ms. */
const AGAIN = 500;

/** A DataProducer on a pipe: all of its messages after the number `at`. */
class Stream {
  /** When the path of its messages was cut, and when it ended. */
  stalled = Infinity;
  ended = Infinity;

  /**
   * @param {SimulatedHost} origin
   * @param {string} id
   * @param {number} at
   * @param {number} latency
   */
  constructor(origin, id, at, latency) {
    this.origin = origin;
    this.id = id;
    this.at = at;
    this.latency = latency;
  }

  /**
   * How many messages have come by now.
   *
   * @param {number} now
   */
  received(now) {
    const until = Math.min(now, this.stalled, this.ended) - this.latency;

    return Math.max(0, this.origin.plane.count(this.id, until) - this.at);
  }
}

/** A DataProducer of another host, on the gateway of this one. */
class Taken {
  /** @type {Stream | undefined} */
  stream;

  /**
   * @param {SimulatedPipe} pipe
   * @param {number} streamId
   * @param {number} before - how many messages had come when the stream began.
   * @param {number | undefined} last - the number of the last one; undefined if this is the first stream.
   */
  constructor(pipe, streamId, before, last) {
    this.pipe = pipe;
    this.streamId = streamId;
    this.before = before;
    this.last = last;
  }
}

/** The data plane of a host. */
class SimulatedPlane {
  /** @type {Set<SimulatedPipe>} */
  pipes = new Set();
  /** @type {Map<string, Taken>} */
  taken = new Map();
  #diedAt = Infinity;

  /** @param {SimulatedHost} host */
  constructor(host) {
    this.host = host;
  }

  /**
   * How many messages a DataProducer of this host has sent by some time.
   *
   * @param {string} id
   * @param {number} time
   */
  count(id, time) {
    const since = this.host.producers.get(id) ?? Infinity;
    const { rate } = this.host.simulation.options;

    return Math.max(0, Math.floor(((Math.min(time, this.#diedAt) - since) * rate) / 1000));
  }

  /**
   * @param {import('../../lib/cluster/types').Carrier} _carrier
   * @param {(error: Error | undefined, pipe?: SimulatedPipe) => void} done
   */
  createPipe(_carrier, done) {
    this.host.after(WORKER, () => {
      const pipe = new SimulatedPipe(this);

      this.pipes.add(pipe);
      done(undefined, pipe);
    });
  }

  /** @param {string} id */
  untake(id) {
    this.taken.delete(id);
  }

  /** Messages per second that go to other hosts, that come from them, and of own DataProducers that go anywhere. */
  load() {
    const { rate } = this.host.simulation.options;
    const carried = [...this.pipes].map((pipe) => pipe.carried);
    const ids = new Set(carried.flatMap((each) => [...each.keys()]));

    return {
      copies: rate * carried.reduce((sum, { size }) => sum + size, 0),
      left: rate * this.taken.size,
      entered: rate * ids.size,
    };
  }

  /** Ends all pipes, as the process has died. */
  kill() {
    this.#diedAt = this.host.simulation.now;
    for (const pipe of [...this.pipes]) {
      pipe.die();
    }
  }

  /** Called when it has changed which hosts reach each other. */
  onReach() {
    for (const pipe of this.pipes) {
      pipe.onReach();
    }
  }
}

/** One end of a pipe: a reliable, ordered way to the other end, as long as both live. */
class SimulatedPipe {
  onclosed = () => {};
  /** @type {(id: string) => void} */
  onstreamclosed = () => {};
  silence = Infinity;
  dead = false;
  up = false;
  /** @type {SimulatedPipe | undefined} */
  far;
  /** At the origin: the streams that this end sends. @type {Map<string, { streamId: number, stream: Stream }>} */
  carried = new Map();
  #connected = () => {};
  #nextStreamId = 0;
  #stalled = false;
  #heardUntil = Infinity;

  /** @param {SimulatedPlane} plane */
  constructor(plane) {
    const { host } = plane;
    const number = (host.simulation.pipeNumber += 1);

    this.plane = plane;
    this.address = { address: `10.0.0.${number}`, port: 40_000, fingerprint: 'AB:'.repeat(32) };
    host.simulation.pipes.set(this.address.address, this);
  }

  get #host() {
    return this.plane.host;
  }

  get #now() {
    return this.#host.simulation.now;
  }

  /**
   * @param {Address} far
   * @param {'taker' | 'origin'} role
   * @param {(error?: Error) => void} done
   */
  connect({ address }, role, done) {
    const far = this.#host.simulation.pipes.get(/** @type {string} */ (address));

    if (!far) {
      done(new Error('no such pipe'));
      return;
    }
    this.far = far;
    this.#connected = done;
    if (role === 'taker') {
      this.#handshake(far);
    }
  }

  /** @param {SimulatedPipe} far */
  #handshake(far) {
    if (this.dead || far.dead) {
      return;
    }
    if (far.far !== this || !this.reaches(far)) {
      this.#host.after(AGAIN, () => this.#handshake(far));
      return;
    }
    // A handshake takes four flights.
    this.#host.after(4 * this.latency(far), () => {
      if (!this.dead && !far.dead) {
        this.up = true;
        far.up = true;
        far.#connected();
        this.#connected();
      }
    });
  }

  /** How long ago something came: it does all the time, until the far end dies or is cut off. */
  look() {
    const { far, up } = this;

    if (up && far) {
      this.silence = Math.max(0, this.#now - this.#heardUntil);
    }
  }

  /**
   * @param {Entry} entry
   * @param {(error: Error | undefined, taken?: { streamId: number, received: number }) => void} done
   */
  take({ id }, done) {
    this.#host.after(WORKER, () => {
      const now = this.#now;
      const former = this.plane.taken.get(id);
      const arrived = former?.stream?.received(now) ?? 0;
      const received = (former?.before ?? 0) + arrived;
      const last = former?.stream ? former.stream.at + arrived : former?.last;

      this.#nextStreamId += 1;
      this.plane.taken.set(id, new Taken(this, this.#nextStreamId, received, last));
      done(undefined, { streamId: this.#nextStreamId, received });
    });
  }

  /**
   * @param {string} id
   * @param {Subchannels} _subchannels
   * @param {number} streamId
   * @param {boolean} _again
   * @param {(error: Error | undefined, at?: number | null) => void} done
   */
  carry(id, _subchannels, streamId, _again, done) {
    this.#host.after(WORKER, () => {
      const former = this.carried.get(id);

      if (former?.streamId === streamId) {
        done(undefined, former.stream.at);
        return;
      }
      if (!this.#host.producers.has(id)) {
        this.#host.simulation.loops += Number(this.plane.taken.has(id));
        done(undefined, null);
        return;
      }

      const { far } = this;
      const at = this.plane.count(id, this.#now);
      const latency = far ? this.latency(far) : 0;
      const stream = new Stream(this.#host, id, at, latency);

      this.carried.set(id, { streamId, stream });
      far?.begin(id, streamId, stream);
      done(undefined, at);
    });
  }

  /**
   * At the taker: a stream begins.
   *
   * @param {string} id
   * @param {number} streamId
   * @param {Stream} stream
   */
  begin(id, streamId, stream) {
    const taken = this.plane.taken.get(id);
    const session = this.#host.sessions.get(id);

    if (taken?.pipe !== this || taken.streamId !== streamId || this.dead) {
      return;
    }
    if (session && taken.last !== undefined) {
      session.missed += Math.max(0, stream.at - taken.last);
      session.duplicates += Math.max(0, taken.last - stream.at);
    }
    taken.stream = stream;
  }

  /** @param {string} id */
  stop(id) {
    const { far } = this;
    const carried = this.carried.get(id);

    this.carried.delete(id);
    if (carried && far) {
      far.#host.after(this.latency(far), () => {
        carried.stream.ended = this.#now;
        if (far.plane.taken.get(id)?.stream === carried.stream && !far.dead) {
          far.onstreamclosed(id);
        }
      });
    }
  }

  close() {
    if (!this.dead) {
      this.#end();
    }
  }

  /** The process has died: the far end does not learn of it. */
  die() {
    const { far } = this;

    this.dead = true;
    if (far) {
      far.#heardUntil = Math.min(far.#heardUntil, this.#now);
      far.#failAfterSilence();
    }
    this.#host.simulation.pipes.delete(this.address.address);
  }

  /** @param {SimulatedPipe} far */
  reaches(far) {
    return far.#host.alive && this.#host.simulation.reaches(this.#host, far.#host);
  }

  /** @param {SimulatedPipe} far */
  latency(far) {
    return this.#host.simulation.latency(this.#host, far.#host);
  }

  onReach() {
    const { far } = this;

    if (!far || far.dead || this.dead) {
      return;
    }

    const stalled = !this.reaches(far);

    if (stalled === this.#stalled) {
      return;
    }
    this.#stalled = stalled;
    this.#heardUntil = stalled ? this.#now : Infinity;
    for (const { pipe, stream } of this.plane.taken.values()) {
      if (pipe === this && stream) {
        stream.stalled = stalled ? this.#now : Infinity;
      }
    }
    if (stalled) {
      this.#failAfterSilence();
    }
  }

  #failAfterSilence() {
    this.#host.after(this.#host.simulation.options.lease, () => {
      const { far } = this;

      if (!this.dead && (!far || far.dead || !this.reaches(far))) {
        this.#fail();
      }
    });
  }

  #fail() {
    if (!this.dead) {
      this.#end();
      this.onclosed();
    }
  }

  #end() {
    const { far } = this;

    this.dead = true;
    this.plane.pipes.delete(this);
    this.#host.simulation.pipes.delete(this.address.address);
    for (const { pipe, stream } of this.plane.taken.values()) {
      if (pipe === this && stream) {
        stream.ended = Math.min(stream.ended, this.#now);
      }
    }
    if (far && !far.dead && this.up) {
      if (this.reaches(far)) {
        // The far end learns of it by a close_notify.
        far.#host.after(this.latency(far), () => far.#fail());
      } else {
        far.#failAfterSilence();
      }
    }
  }
}

exports.SimulatedPipe = SimulatedPipe;
exports.SimulatedPlane = SimulatedPlane;
