'use strict';

// What goes over the bus: seals and sends; opens, checks and counts what is refused; finds the question of an answer.
//
// A question has a nonce of 128 random bits, which the answer repeats. An answer confirms the epoch of its sender.

const { Refusal } = require('./envelope');
const { decode, encode } = require('./messages');

/** @import { Answer, Bus, Clock, Message, RandomNumbers, Request, Sealer } from './types' */
/** @import { Kind, Subjects } from './messages' */
/** @import { Peer, Peers } from './Peers' */

/**
 * @typedef {object} Question
 * @property {Peer} [peer] - the one that is asked; undefined if a room is.
 * @property {(answer: Answer, peer: Peer) => void} onAnswer - called for each answer: a list has several parts.
 * @property {() => void} [onTimeout]
 * @property {() => void} cancel
 */

/** @typedef {(message: any, peer: Peer) => void} Listener */

class Link {
  /** Refused messages by reason. @type {Record<string, number>} */
  refused = {};
  /** Messages that were published, and those that were accepted, by type. @type {Record<string, number>} */
  sent = {};
  /** @type {Record<string, number>} */
  received = {};
  /** Bytes of these, and of the refused ones. */
  bytesSent = 0;
  bytesReceived = 0;
  #bus;
  #clock;
  #peers;
  #random;
  #sealer;
  #subjects;
  #onIncompatible;
  #onRefused;
  /** @type {Map<string, Question>} */
  #questions = new Map();
  #closed = false;

  /**
   * @param {object} options
   * @param {Bus} options.bus
   * @param {Clock} options.clock
   * @param {Peers} options.peers
   * @param {RandomNumbers} options.random
   * @param {Sealer} options.sealer
   * @param {Subjects} options.subjects
   * @param {(host: string) => void} options.onIncompatible
   * @param {(reason: string) => void} options.onRefused
   */
  constructor({ bus, clock, peers, random, sealer, subjects, onIncompatible, onRefused }) {
    this.#bus = bus;
    this.#clock = clock;
    this.#peers = peers;
    this.#random = random;
    this.#sealer = sealer;
    this.#subjects = subjects;
    this.#onIncompatible = onIncompatible;
    this.#onRefused = onRefused;
  }

  /**
   * @param {Kind} kind
   * @param {string} name
   * @param {Listener} listener - gets what is neither refused nor an answer.
   * @returns {Promise<() => void>} ends the subscription.
   */
  async subscribe(kind, name, listener) {
    const subject = this.#subjects.of(kind, name);
    let ended = false;
    const subscription = await this.#bus.subscribe(subject, (bytes) => {
      if (!ended && !this.#closed) {
        this.#receive(kind, name, subject, bytes, listener);
      }
    });

    return () => {
      if (!ended) {
        ended = true;
        // A bus whose link is down ends it when it is back.
        Promise.resolve(subscription[Symbol.asyncDispose]()).catch(() => {});
      }
    };
  }

  /**
   * @param {Kind} kind
   * @param {string} name
   * @param {Message} message
   */
  send(kind, name, message) {
    const subject = this.#subjects.of(kind, name);

    if (!this.#closed) {
      const bytes = this.#sealer.seal(subject, encode(message));

      count(this.sent, message.type);
      this.bytesSent += bytes.length;
      this.#bus.publish(subject, bytes);
    }
  }

  /**
   * Makes the nonce of a question. It is forgotten when `ms` are over.
   *
   * @param {number} ms
   * @param {Omit<Question, 'cancel'>} question
   * @returns {string}
   */
  question(ms, question) {
    const nonce = this.#random.bytes(16).toString('hex');
    const cancel = this.#clock.after(ms, () => {
      this.#questions.delete(nonce);
      question.onTimeout?.();
    });

    this.#questions.set(nonce, { ...question, cancel });
    return nonce;
  }

  /**
   * Asks a host until the first answer.
   *
   * @param {Peer} peer
   * @param {number} ms
   * @param {(id: string, to: string) => Request} request
   * @param {(answer?: Answer) => void} done - with nothing when `ms` are over.
   * @returns {() => void} stops waiting.
   */
  ask(peer, ms, request, done) {
    const id = this.question(ms, {
      peer,
      onAnswer: (answer) => {
        this.forget(id);
        done(answer);
      },
      onTimeout: done,
    });

    this.send('to', peer.host, request(id, peer.epoch));
    return () => this.forget(id);
  }

  /** @param {string} nonce */
  forget(nonce) {
    this.#questions.get(nonce)?.cancel();
    this.#questions.delete(nonce);
  }

  close() {
    this.#closed = true;
    for (const nonce of this.#questions.keys()) {
      this.forget(nonce);
    }
  }

  /**
   * @param {Kind} kind
   * @param {string} name
   * @param {string} subject
   * @param {Uint8Array} bytes
   * @param {Listener} listener
   */
  #receive(kind, name, subject, bytes, listener) {
    this.bytesReceived += bytes.length;
    try {
      const opened = this.#sealer.open(subject, bytes);

      if (kind === 'beat' && opened.host !== name) {
        throw new Refusal('crossed');
      }

      const peer = this.#peers.accept(subject, opened);
      const message = /** @type {any} */ (this.#decode(kind, opened));

      if (message.to !== undefined && message.to !== this.#peers.self.epoch) {
        throw new Refusal('stale');
      }
      if (message.re !== undefined) {
        this.#onAnswer(message, peer);
      }
      count(this.received, message.type);
      listener(message, peer);
    } catch (error) {
      if (!(error instanceof Refusal)) {
        throw error;
      }
      count(this.refused, error.reason);
      this.#onRefused(error.reason);
    }
  }

  /**
   * @param {Kind} kind
   * @param {{ host: string, message: Buffer }} opened
   */
  #decode(kind, { host, message }) {
    try {
      return decode(kind, message);
    } catch (error) {
      if (error instanceof Refusal && error.reason === 'incompatible') {
        this.#onIncompatible(host);
      }
      throw error;
    }
  }

  /**
   * @param {Answer} answer
   * @param {Peer} peer
   * @throws {Refusal}
   */
  #onAnswer(answer, peer) {
    const question = this.#questions.get(answer.re);

    if (!question || (question.peer && question.peer !== peer)) {
      throw new Refusal('unasked');
    }
    this.#peers.confirm(peer);
    // Another process of the name of this host never is.
    if (peer.confirmed) {
      question.onAnswer(answer, peer);
    }
  }
}

/**
 * @param {Record<string, number>} counts
 * @param {string} name
 */
function count(counts, name) {
  counts[name] = (counts[name] ?? 0) + 1;
}

exports.Link = Link;
