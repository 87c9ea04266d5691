'use strict';

// What this host sends to others: the far ends of the pipes that they have made, and what they want through them.
//
// The taker decides: a pipe with a higher number takes the place of the former one with its first `want`, a `want` with
// a lower `gen` than the last is ignored, and both may come twice. A pipe that fails is not made again from here. A
// taker has two pipes at most, and the making of one under way.

/** How long a taker may take to connect, in milliseconds. */
const CONNECTING = 10_000;

/** @import { Answer, Carrier, Clock, Pipe, PipeRequest, Plane, Want } from './types' */
/** @import { Link } from './Link' */
/** @import { Peer } from './Peers' */

/** This host's end of a pipe that a taker has made. */
class Outlet {
  gen = 0;
  /** Undefined until it is made, and once it has failed. @type {Pipe | undefined} */
  pipe;
  /** Ends the wait for the taker. @type {(() => void) | undefined} */
  waiting;
  /** The last `want` that came while another one was being carried out. @type {Want | undefined} */
  next;
  busy = false;
  /** @type {Set<string>} */
  carried = new Set();

  /** @param {PipeRequest} request - the last one for this pipe. */
  constructor(request) {
    this.request = request;
  }

  get number() {
    return this.request.pipe;
  }

  end() {
    this.waiting?.();
    this.pipe?.close();
    this.pipe = undefined;
  }
}

/** A host that takes something. */
class Taker {
  /** The pipe in use, and the one that will take its place. @type {Outlet | undefined} */
  current;
  /** @type {Outlet | undefined} */
  next;
  /** Whether a pipe is being made, and the request for the one after it. */
  creating = false;
  /** @type {PipeRequest | undefined} */
  asked;
  /** The highest number of a pipe that the taker has asked for. */
  highest = 0;

  /** @param {Peer} peer */
  constructor(peer) {
    this.peer = peer;
  }

  get outlets() {
    return [this.current, this.next].filter((outlet) => outlet !== undefined);
  }

  end() {
    for (const outlet of this.outlets) {
      outlet.end();
    }
    this.current = this.next = this.asked = undefined;
  }
}

class Gives {
  #link;
  #clock;
  #plane;
  #has;
  #onFailing;
  /** @type {Map<string, Taker>} */
  #takers = new Map();

  /**
   * @param {object} options
   * @param {Link} options.link
   * @param {Clock} options.clock
   * @param {Plane} options.plane
   * @param {(id: string) => boolean} options.has - whether this host has announced a DataProducer.
   * @param {(host: string, error: Error) => void} options.onFailing - the end of a pipe could not be made.
   */
  constructor({ link, clock, plane, has, onFailing }) {
    this.#link = link;
    this.#clock = clock;
    this.#plane = plane;
    this.#has = has;
    this.#onFailing = onFailing;
  }

  /**
   * @param {PipeRequest} request
   * @param {Peer} peer - confirmed.
   */
  onPipe(request, peer) {
    const { id: re, pipe: number } = request;
    let taker = this.#takers.get(peer.host);

    if (taker?.peer !== peer) {
      taker?.end();
      taker = new Taker(peer);
      this.#takers.set(peer.host, taker);
    }

    const known = taker.outlets.find((outlet) => outlet.number === number);

    if (known) {
      known.request = request;
      if (known.pipe) {
        this.#answer(peer, { type: 'piped', re, ...known.pipe.address });
      }
    } else if (number <= taker.highest && number !== taker.asked?.pipe) {
      this.#answer(peer, { type: 'piped', re, error: 'replaced' });
    } else {
      taker.highest = number;
      taker.asked = request;
      this.#create(taker);
    }
  }

  /**
   * @param {Want} want
   * @param {Peer} peer - confirmed.
   */
  onWant(want, peer) {
    const taker = this.#takers.get(peer.host);

    if (taker?.peer === peer && taker.next?.pipe && taker.next.number === want.pipe) {
      taker.current?.end();
      taker.current = taker.next;
      taker.next = undefined;
    }

    const outlet = taker?.peer === peer ? taker.current : undefined;

    if (outlet?.number !== want.pipe || !outlet.pipe) {
      this.#answer(peer, { type: 'given', re: want.id, error: 'no pipe' });
    } else if (want.gen > outlet.gen) {
      outlet.gen = want.gen;
      // A former want that still waits is left out: the later one repeats what it asked for.
      outlet.next = want;
      this.#advance(peer, outlet);
    }
  }

  /**
   * For how many milliseconds nothing had come from a host through its pipes at the last tick.
   *
   * @param {string} host
   */
  silence(host) {
    const outlets = this.#takers.get(host)?.outlets ?? [];

    return Math.min(...outlets.map(({ pipe }) => pipe?.silence ?? Infinity));
  }

  tick() {
    for (const { outlets } of this.#takers.values()) {
      for (const { pipe } of outlets) {
        pipe?.look();
      }
    }
  }

  /**
   * Forgets a host that is gone.
   *
   * @param {Peer} peer
   */
  forget(peer) {
    const taker = this.#takers.get(peer.host);

    if (taker?.peer === peer) {
      this.#takers.delete(peer.host);
      taker.end();
    }
  }

  close() {
    for (const taker of this.#takers.values()) {
      taker.end();
    }
    this.#takers.clear();
  }

  /** For getStats(). */
  *stats() {
    for (const [host, { current }] of this.#takers) {
      if (current) {
        yield {
          host,
          carrier: carrierOf(current.request),
          carried: current.carried.size,
        };
      }
    }
  }

  /**
   * Makes the pipe that was asked for last, unless one is being made.
   *
   * @param {Taker} taker
   */
  #create(taker) {
    const { peer, asked } = taker;

    if (!asked || taker.creating) {
      return;
    }
    taker.next?.end();

    const outlet = new Outlet(asked);

    taker.next = outlet;
    taker.asked = undefined;
    taker.creating = true;
    this.#plane.createPipe(carrierOf(asked), (error, pipe) => {
      taker.creating = false;
      if (taker.next !== outlet || taker.asked) {
        pipe?.close();
        this.#create(taker);
        return;
      }
      if (!pipe) {
        taker.next = undefined;
        this.#onFailing(peer.host, error ?? new Error('no pipe'));
        this.#answer(peer, { type: 'piped', re: outlet.request.id, error: 'failed' });
        return;
      }

      const end = () => this.#end(taker, outlet);

      outlet.pipe = pipe;
      outlet.waiting = this.#clock.after(CONNECTING, end);
      pipe.onclosed = end;
      pipe.connect(outlet.request, 'origin', (failed) => {
        outlet.waiting?.();
        if (failed) {
          end();
        }
      });
      this.#answer(peer, { type: 'piped', re: outlet.request.id, ...pipe.address });
    });
  }

  /**
   * @param {Peer} peer
   * @param {Outlet} outlet
   */
  #advance(peer, outlet) {
    const { busy, next, pipe } = outlet;

    if (busy || !next || !pipe) {
      return;
    }
    outlet.next = undefined;
    outlet.busy = true;

    // Each id once, even if the taker names it twice.
    const items = new Map(next.items.map((item) => /** @type {const} */ ([item[0], item])));
    /** The answers by id; an id that could not be carried has none. @type {Map<string, number | null>} */
    const given = new Map();
    let waiting = 1;
    const done = () => {
      waiting -= 1;
      if (waiting === 0) {
        outlet.busy = false;
        if (outlet.pipe) {
          this.#answer(peer, { type: 'given', re: next.id, items: [...given] });
          this.#advance(peer, outlet);
        }
      }
    };

    for (const [id, subchannels, streamId, again] of items.values()) {
      if (subchannels === null || !this.#has(id)) {
        given.set(id, null);
        outlet.carried.delete(id);
        pipe.stop(id);
        continue;
      }
      waiting += 1;
      pipe.carry(id, subchannels, streamId, again, (error, at = null) => {
        if (!error) {
          given.set(id, at);
        }
        if (error || at === null) {
          outlet.carried.delete(id);
        } else {
          outlet.carried.add(id);
        }
        done();
      });
    }
    done();
  }

  /**
   * @param {Taker} taker
   * @param {Outlet} outlet
   */
  #end(taker, outlet) {
    if (taker.current === outlet) {
      taker.current = undefined;
    } else if (taker.next === outlet) {
      taker.next = undefined;
    }
    outlet.end();
  }

  /**
   * @param {Peer} peer
   * @param {Answer} answer
   */
  #answer(peer, answer) {
    this.#link.sendTo(peer, answer);
  }
}

/**
 * @param {PipeRequest} request
 * @returns {Carrier}
 */
const carrierOf = ({ bus }) => (bus === undefined ? 'pipe' : 'bus');

exports.Gives = Gives;
