import type * as dgram from 'node:dgram';
import type { AddressInfo } from 'node:net';
import type { types } from '../..';
import { closeSocket, udpSocket } from './sockets';

/** The properties of a network. Probabilities are per datagram, 0 to 1. */
export interface Conditions {
  /** How long each datagram takes, in milliseconds. */
  delay: number;
  /** How much longer a reordered datagram takes at most, in milliseconds. */
  jitter: number;
  reordering: number;
  duplication: number;
  loss: number;
}

/** A round trip of 50 ms, with some reordering, duplication and loss. */
export const BAD: Conditions = {
  delay: 25,
  jitter: 15,
  reordering: 0.05,
  duplication: 0.03,
  loss: 0.03,
};

/** A direction: up is from the client to the transport, down is from the transport to the client. */
export type Way = 'up' | 'down';

/**
 * A UDP proxy in front of a WebRtcTransport. Each client address gets a socket of its own to the transport, as behind
 * a NAT. The same seed and the same datagrams give the same run.
 */
export class BadNetwork {
  /** Lengths of the datagrams that were lost. */
  readonly lost: Record<Way, number[]> = { up: [], down: [] };
  readonly #conditions: Conditions;
  readonly #front: dgram.Socket;
  readonly #target: { address: string; port: number };
  readonly #backs = new Map<string, Promise<dgram.Socket>>();
  readonly #timers = new Set<NodeJS.Timeout>();
  #state: number;

  static async to(
    transport: types.WebRtcTransport,
    conditions: Conditions = BAD,
    seed = 1,
  ): Promise<BadNetwork> {
    return new BadNetwork(await udpSocket(), transport.iceCandidates[0]!, conditions, seed);
  }

  private constructor(
    front: dgram.Socket,
    target: { address: string; port: number },
    conditions: Conditions,
    seed: number,
  ) {
    this.#front = front;
    this.#target = target;
    this.#conditions = conditions;
    this.#state = seed;
    front.on('message', (datagram, client) => void this.#fromClient(datagram, client));
  }

  /** Replaces the candidate of the transport by the proxy in an SDP answer. */
  readonly alter = (sdp: string): string => {
    const { address, port } = this.#target;
    return sdp.replace(` ${address} ${port} typ`, ` ${address} ${this.#front.address().port} typ`);
  };

  /** A function that counts the datagrams longer than `length` that are lost after this call. */
  lostFromNow(way: Way, length: number): () => number {
    const before = this.lost[way].length;
    return () => this.lost[way].slice(before).filter((each) => each > length).length;
  }

  async close(): Promise<void> {
    this.#timers.forEach((timer) => clearTimeout(timer));
    const backs = await Promise.all(this.#backs.values());
    await Promise.all([this.#front, ...backs].map(closeSocket));
  }

  async #fromClient(datagram: Buffer, client: AddressInfo): Promise<void> {
    const key = `${client.address}:${client.port}`;
    let made = this.#backs.get(key);
    if (!made) {
      made = udpSocket();
      this.#backs.set(key, made);
      (await made).on('message', (answer) =>
        this.#carry('down', answer, () => this.#front.send(answer, client.port, client.address)),
      );
    }
    const back = await made;
    const { address, port } = this.#target;
    this.#carry('up', datagram, () => back.send(datagram, port, address));
  }

  #carry(way: Way, datagram: Buffer, send: () => void): void {
    const { delay, jitter, reordering, duplication, loss } = this.#conditions;
    if (this.#random() < loss) {
      this.lost[way].push(datagram.length);
      return;
    }
    const copies = this.#random() < duplication ? 2 : 1;
    for (let copy = 0; copy < copies; copy++) {
      const longer = this.#random() < reordering ? jitter * this.#random() : 0;
      const timer = setTimeout(() => {
        this.#timers.delete(timer);
        send();
      }, delay + longer);
      this.#timers.add(timer);
    }
  }

  /** A pseudo-random number from 0 to 1, without 1 (mulberry32), so that a seed repeats a run. */
  #random(): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0;
    let t = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  }
}
