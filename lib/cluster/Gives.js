'use strict';

// What this host sends to others: the far ends of the pipes that they have made, and what they want through them.
//
// The taker decides: a pipe with a higher number replaces the former one, a `want` with a lower `gen` than the last is
// ignored, and both may come twice. A pipe that fails is not made again from here.

/** @import { Answer, Pipe, PipeRequest, Plane, Want } from './types' */
/** @import { Link } from './Link' */
/** @import { Peer } from './Peers' */

/** What a host takes from this one. */
class Sink {
  gen = 0;
  /** Undefined until it is made, and once it has failed. @type {Pipe | undefined} */
  pipe;
  /** What was wanted while the one before was being done. @type {Want | undefined} */
  next;
  busy = false;
  /** @type {Set<string>} */
  carried = new Set();

  /**
   * @param {Peer} peer
   * @param {number} number
   */
  constructor(peer, number) {
    this.peer = peer;
    this.number = number;
  }
}

class Gives {
  #link;
  #plane;
  #has;
  /** @type {Map<string, Sink>} */
  #sinks = new Map();

  /**
   * @param {object} options
   * @param {Link} options.link
   * @param {Plane} options.plane
   * @param {(id: string) => boolean} options.has - whether this host has announced a DataProducer.
   */
  constructor({ link, plane, has }) {
    this.#link = link;
    this.#plane = plane;
    this.#has = has;
  }

  /**
   * @param {PipeRequest} request
   * @param {Peer} peer - confirmed.
   */
  onPipe(request, peer) {
    const { id: re, pipe: number } = request;
    const former = this.#sinks.get(peer.host);

    if (former?.peer === peer && number < former.number) {
      this.#answer(peer, { type: 'piped', re, error: 'replaced' });
      return;
    }
    if (former?.peer === peer && number === former.number) {
      if (former.pipe) {
        this.#answer(peer, { type: 'piped', re, ...former.pipe.address });
      }
      return;
    }
    former?.pipe?.close();

    const sink = new Sink(peer, number);

    this.#sinks.set(peer.host, sink);
    this.#plane.createPipe((_, pipe) => {
      if (this.#sinks.get(peer.host) !== sink) {
        pipe?.close();
        return;
      }
      if (!pipe) {
        this.#sinks.delete(peer.host);
        this.#answer(peer, { type: 'piped', re, error: 'failed' });
        return;
      }
      sink.pipe = pipe;
      pipe.onclosed = () => this.#end(sink);
      pipe.connect(request, 'origin', (failed) => failed && this.#end(sink));
      this.#answer(peer, { type: 'piped', re, ...pipe.address });
    });
  }

  /**
   * @param {Want} want
   * @param {Peer} peer - confirmed.
   */
  onWant(want, peer) {
    const sink = this.#sinks.get(peer.host);

    if (sink?.peer !== peer || sink.number !== want.pipe || !sink.pipe) {
      this.#answer(peer, { type: 'given', re: want.id, error: 'no pipe' });
    } else if (want.gen > sink.gen) {
      sink.gen = want.gen;
      // The taker repeats in a later one what it has not been answered.
      sink.next = want;
      this.#advance(sink);
    }
  }

  /**
   * For how many milliseconds nothing had come from a host through its pipe at the last tick.
   *
   * @param {string} host
   */
  silence(host) {
    return this.#sinks.get(host)?.pipe?.silence ?? Infinity;
  }

  tick() {
    for (const { pipe } of this.#sinks.values()) {
      pipe?.look();
    }
  }

  /**
   * A host is gone.
   *
   * @param {Peer} peer
   */
  drop(peer) {
    const sink = this.#sinks.get(peer.host);

    if (sink?.peer === peer) {
      this.#end(sink);
    }
  }

  close() {
    for (const sink of this.#sinks.values()) {
      this.#end(sink);
    }
  }

  /** For getStats(). */
  *stats() {
    for (const [host, { carried }] of this.#sinks) {
      yield { host, carried: carried.size };
    }
  }

  /** @param {Sink} sink */
  #advance(sink) {
    const { busy, next, pipe, peer } = sink;

    if (busy || !next || !pipe) {
      return;
    }
    sink.next = undefined;
    sink.busy = true;

    /** @type {Map<string, number | null>} */
    const given = new Map();
    let waiting = 1;
    const done = () => {
      waiting -= 1;
      if (waiting === 0) {
        sink.busy = false;
        if (sink.pipe) {
          this.#answer(peer, { type: 'given', re: next.id, items: [...given] });
          this.#advance(sink);
        }
      }
    };

    for (const [id, subchannels, streamId, again] of next.items) {
      given.set(id, null);
      if (subchannels === null || !this.#has(id)) {
        if (sink.carried.delete(id)) {
          pipe.drop(id);
        }
        continue;
      }
      waiting += 1;
      sink.carried.add(id);
      pipe.carry(id, subchannels, streamId, again, (error, at) => {
        given.set(id, error ? null : (at ?? null));
        done();
      });
    }
    done();
  }

  /** @param {Sink} sink */
  #end(sink) {
    if (this.#sinks.get(sink.peer.host) === sink) {
      this.#sinks.delete(sink.peer.host);
    }
    sink.pipe?.close();
    sink.pipe = undefined;
  }

  /**
   * @param {Peer} peer
   * @param {Answer} answer
   */
  #answer(peer, answer) {
    this.#link.send('to', peer.host, answer);
  }
}

exports.Gives = Gives;
