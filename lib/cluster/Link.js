'use strict';

// What goes over the bus: seals and sends; opens, checks and counts what is refused; finds the question of an answer.
//
// A question has a nonce of 128 random bits, which the answer repeats. An answer confirms the epoch of its sender.

const { publish, unsubscribe } = require('./bus');
const { Refusal } = require('./envelope');
const { decode, encode } = require('./messages');

/** @import { Answer, Bus, Clock, Message, RandomNumbers, Request, Sealer } from './types' */
/** @import { Kind, Range, Subjects } from './messages' */
/** @import { Peer, Peers } from './Peers' */

/**
 * @typedef {object} Question
 * @property {Peer} [peer] - the one that is asked; undefined if a room is.
 * @property {Set<string>} [answered] - the epochs that have answered a question to a room.
 * @property {(answer: Answer, peer: Peer) => void} [onAnswer] - called for each answer.
 * @property {() => void} [onTimeout]
 */

/** @typedef {(message: any, peer: Peer, bytes: number) => void} Listener */

class Link {
  /** Refused messages by reason. @type {Record<string, number>} */
  refused = {};
  /** Messages that were published, and those that were accepted, by type. @type {Record<string, number>} */
  sent = {};
  /** @type {Record<string, number>} */
  received = {};
  /** Bytes of the messages that were published, and of those that came, the refused ones included. */
  bytesSent = 0;
  bytesReceived = 0;
  /** Messages that the bus says it has lost. */
  unsent = 0;
  #bus;
  #clock;
  #peers;
  #random;
  #sealer;
  #subjects;
  #range;
  #onIncompatible;
  #onRefused;
  /** @type {Map<string, { question: Question, ms: number, cancel: () => void }>} */
  #questions = new Map();
  /** Whether `publish()` of the bus is running, and what the bus has delivered since it began. */
  #publishing = false;
  /** @type {(() => void)[]} */
  #early = [];
  #leaving = false;
  #closed = false;

  /**
   * @param {object} options
   * @param {Bus} options.bus
   * @param {Clock} options.clock
   * @param {Peers} options.peers
   * @param {RandomNumbers} options.random
   * @param {Sealer} options.sealer
   * @param {Subjects} options.subjects
   * @param {Range} options.range - the versions of the protocol that this host writes.
   * @param {(host: string) => void} options.onIncompatible
   * @param {(reason: string) => void} options.onRefused
   */
  constructor({ bus, clock, peers, random, sealer, subjects, range, onIncompatible, onRefused }) {
    this.#bus = bus;
    this.#clock = clock;
    this.#peers = peers;
    this.#random = random;
    this.#sealer = sealer;
    this.#subjects = subjects;
    this.#range = range;
    this.#onIncompatible = onIncompatible;
    this.#onRefused = onRefused;
  }

  /**
   * @param {Kind} kind
   * @param {string} name
   * @param {Listener} listener - gets what is not refused; an answer after its question has got it.
   * @returns {Promise<() => void>} ends the subscription.
   */
  async subscribe(kind, name, listener) {
    const subject = this.#subjects.of(kind, name);
    let ended = false;
    const subscription = await this.#bus.subscribe(subject, (bytes) => {
      this.#inOrder(() => {
        if (!ended && !this.#closed) {
          this.#receive(kind, name, subject, bytes, listener);
        }
      });
    });

    return () => {
      if (!ended) {
        ended = true;
        if (kind === 'room') {
          // A replayed message cannot harm: lists have numbers of their own.
          this.#peers.forgetSubject(subject);
        }
        void unsubscribe(subscription);
      }
    };
  }

  /**
   * Publishes to all hosts of a room, or to all that listen to the beats of this one.
   *
   * @param {'room' | 'beat'} kind
   * @param {string} name
   * @param {Message} message
   */
  send(kind, name, message) {
    // A `state` is also for hosts that this one has not heard. Those that are not confirmed yet may refuse all else and
    // miss nothing: they get the list once they are.
    const unheard = message.type === 'state';

    this.#send(kind, name, message, unheard ? this.#range.oldest : this.#peers.takes);
  }

  /**
   * @param {Peer} peer
   * @param {Message} message
   */
  sendTo(peer, message) {
    this.#send('to', peer.host, message, peer.takes);
  }

  /**
   * @param {Kind} kind
   * @param {string} name
   * @param {Message} message
   * @param {number} takes - the newest version of the protocol that all its receivers take.
   */
  #send(kind, name, message, takes) {
    const { current } = this.#range;
    const subject = this.#subjects.of(kind, name);

    if (this.#closed || (this.#leaving && message.type !== 'bye')) {
      return;
    }

    const encoded = encode(message, Math.min(takes, current), current);
    const bytes = this.#sealer.seal(subject, encoded);
    const publishing = this.#publishing;

    this.#publishing = true;
    publish(this.#bus, subject, bytes, (sent) => {
      if (sent) {
        count(this.sent, message.type);
        this.bytesSent += bytes.length;
      } else {
        this.unsent += 1;
      }
    });
    this.#publishing = publishing;
  }

  /** From now on only `bye` is sent, and only this host is heard. */
  leave() {
    this.#leaving = true;
  }

  /**
   * Makes the nonce of a question. It is forgotten when `ms` are over.
   *
   * @param {number} ms
   * @param {Question} question
   * @returns {string}
   */
  question(ms, question) {
    const nonce = this.#random.bytes(16).toString('hex');

    this.#wait(nonce, ms, question);
    return nonce;
  }

  /**
   * Waits for the next part of an answer as long as for the first.
   *
   * @param {string} nonce
   */
  renew(nonce) {
    const asked = this.#questions.get(nonce);

    if (asked) {
      asked.cancel();
      this.#wait(nonce, asked.ms, asked.question);
    }
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

    this.sendTo(peer, request(id, peer.epoch));
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
   * @param {string} nonce
   * @param {number} ms
   * @param {Question} question
   */
  #wait(nonce, ms, question) {
    const cancel = this.#clock.after(ms, () => {
      this.#questions.delete(nonce);
      question.onTimeout?.();
    });

    this.#questions.set(nonce, { question, ms, cancel });
  }

  /**
   * Handles what the bus delivers. A bus may deliver a message before `publish()` has returned: an EventEmitter does.
   * That waits, as an answer must not come before its question is asked.
   *
   * @param {() => void} receive
   */
  #inOrder(receive) {
    if (!this.#publishing && this.#early.length === 0) {
      receive();
      return;
    }
    this.#early.push(receive);
    if (this.#early.length === 1) {
      queueMicrotask(() => this.#handleEarly());
    }
  }

  #handleEarly() {
    const next = this.#early[0];

    try {
      next();
    } finally {
      // Even if a listener has thrown.
      this.#early.shift();
      if (this.#early.length > 0) {
        queueMicrotask(() => this.#handleEarly());
      }
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

      const peer = this.#peers.accept(kind, subject, opened);

      if (this.#leaving && peer !== this.#peers.self) {
        return;
      }

      const { message, takes } = this.#decode(kind, opened);

      peer.takes = takes;
      if (message.to !== undefined && message.to !== this.#peers.self.epoch) {
        throw new Refusal('stale');
      }
      if (message.re !== undefined) {
        this.#onAnswer(message, peer, opened.counter);
      }
      count(this.received, message.type);
      listener(message, peer, bytes.length);
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
   * @returns {{ message: any, takes: number }}
   */
  #decode(kind, { host, message }) {
    try {
      return decode(kind, message, this.#range);
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
   * @param {number} counter
   * @throws {Refusal}
   */
  #onAnswer(answer, peer, counter) {
    const question = this.#questions.get(answer.re)?.question;

    if (!question || (question.peer && question.peer !== peer)) {
      throw new Refusal('unasked');
    }
    if (!question.peer) {
      question.answered ??= new Set();
      if (!peer.confirmed && question.answered.has(peer.epoch)) {
        // A recording of a host that has gone since.
        throw new Refusal('replayed');
      }
      question.answered.add(peer.epoch);
    }
    this.#peers.confirm(peer, counter);
    // Another process with the name of this host is never confirmed: its answers count for nothing.
    if (peer.confirmed) {
      question.onAnswer?.(answer, peer);
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
