import { fork, type ChildProcess } from 'node:child_process';
import { EventEmitter, once } from 'node:events';
import * as path from 'node:path';
import type { types } from '../..';
import { answerOf, dtlsParametersOf } from '../../examples/sdp';
import type { TallySummary } from './numbered';
import { until, untilState, within } from './wait';

/** A channel of a client. */
export interface ChannelOptions {
  id: number;
  label?: string;
  protocol?: string;
  unordered?: boolean;
  maxRetransmits?: number;
  maxPacketLifeTime?: number;
  /** False to open it in band, by a DATA_CHANNEL_OPEN (RFC 8832). */
  negotiated?: boolean;
  /** Count the messages in the client's process (see `numbered.js`) instead of passing them on. */
  tally?: boolean;
}

export interface PeerOptions {
  channels?: ChannelOptions[];
  /** The options that node-datachannel gets. */
  config?: Record<string, unknown>;
}

/** The DTLS role of the client. */
export type ClientRole = 'client' | 'server';

/** An event of a client, as its process reports it. */
export interface PeerEvent {
  peer: string;
  event: string;
  channel?: number;
  message?: string | Uint8Array;
  state?: string;
  label?: string;
  protocol?: string;
}

/** A message from the process: an answer to a request, or an event. */
export type FromProcess = { request: number; result?: unknown; error?: string } | PeerEvent;

/** A process with WebRTC clients (node-datachannel) in it. */
export class WebRtcPeers {
  readonly #child: ChildProcess;
  readonly #peers = new Map<string, WebRtcPeer>();
  readonly #requests = new Map<number, { resolve(v: unknown): void; reject(e: Error): void }>();
  #count = 0;

  constructor() {
    this.#child = fork(path.join(__dirname, 'webRtcPeersProcess.js'), {
      serialization: 'advanced',
    });
    this.#child.on('message', (message: FromProcess) => this.#handle(message));
    this.#child.on('exit', () => {
      for (const { reject } of this.#requests.values()) {
        reject(new Error('the process of the WebRTC clients has ended'));
      }
      this.#requests.clear();
    });
  }

  /** Creates a client with `channels`, which connects when `dial()` is called. */
  async create({ channels = [], config = {} }: PeerOptions = {}): Promise<WebRtcPeer> {
    const peer = new WebRtcPeer(this, `peer${this.#count++}`, channels);
    this.#peers.set(peer.name, peer);
    peer.offer = (await this.call('create', peer.name, { channels, config })) as string;
    return peer;
  }

  /** Creates a client and connects it to `transport`; resolves once its channels are open. */
  async connect(
    transport: types.WebRtcTransport,
    options: PeerOptions & { role?: ClientRole; alter?: (sdp: string) => string } = {},
  ): Promise<WebRtcPeer> {
    const peer = await this.create(options);
    await transport.connect({ dtlsParameters: peer.dtlsParameters(options.role) });
    await peer.dial(transport, options.role, options.alter);
    await peer.untilOpen();
    // The client may be connected before the transport's events have reached JavaScript.
    await untilState(transport, 'sctpState', 'connected');
    return peer;
  }

  /** Calls a method of the process. */
  call(method: string, ...args: unknown[]): Promise<unknown> {
    const request = this.#count++;
    const answered = new Promise<unknown>((resolve, reject) => {
      this.#requests.set(request, { resolve, reject });
    });
    this.#child.send({ request, method, args });
    return within(answered, `answer of the WebRTC clients to ${method}()`, 60_000);
  }

  /** Suspends the process (SIGSTOP), so that its clients stop sending and receiving. */
  freeze(): void {
    this.#child.kill('SIGSTOP');
  }

  /** Resumes a frozen process. */
  thaw(): void {
    this.#child.kill('SIGCONT');
  }

  /** Kills the process, so that its clients disappear without ending their sessions. */
  async kill(): Promise<void> {
    const exited = once(this.#child, 'exit');
    this.#child.kill('SIGKILL');
    await exited;
  }

  /** Closes all clients and ends the process. */
  async close(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) {
      return;
    }
    const exited = once(this.#child, 'exit');
    this.call('shutdown').catch(() => {});
    try {
      await within(exited as Promise<any>, 'the end of the WebRTC clients', 5_000);
    } catch {
      this.#child.kill('SIGKILL');
      await exited;
    }
  }

  #handle(message: FromProcess): void {
    if ('peer' in message) {
      this.#peers.get(message.peer)?.handle(message);
      return;
    }
    const pending = this.#requests.get(message.request);
    this.#requests.delete(message.request);
    if (message.error === undefined) {
      pending?.resolve(message.result);
    } else {
      pending?.reject(new Error(message.error));
    }
  }
}

/**
 * One WebRTC client. Emits 'state' (state), 'open' (channel id), 'closed' (channel id), 'message'
 * (channel id, string or Buffer) and 'datachannel' (channel id, label, protocol).
 */
export class WebRtcPeer extends EventEmitter {
  readonly name: string;
  offer = '';
  state = 'new';
  readonly open = new Set<number>();
  readonly closed = new Set<number>();
  readonly messages = new Map<number, (string | Buffer)[]>();
  readonly #peers: WebRtcPeers;
  readonly #channels: ChannelOptions[];

  constructor(peers: WebRtcPeers, name: string, channels: ChannelOptions[]) {
    super();
    this.setMaxListeners(0);
    this.#peers = peers;
    this.name = name;
    this.#channels = [...channels];
  }

  /** The client's certificate fingerprint, from its offer. */
  get fingerprint(): types.DtlsFingerprint {
    return dtlsParametersOf(this.offer).fingerprints[0]!;
  }

  /** The parameters of the client for `transport.connect()`. */
  dtlsParameters(role: types.DtlsRole = 'client'): types.DtlsParameters {
    return { role, fingerprints: [this.fingerprint] };
  }

  /**
   * Connects to `transport` as DTLS client or server. `alter` changes the SDP answer of the transport.
   */
  async dial(
    transport: types.WebRtcTransport,
    role: ClientRole = 'client',
    alter: (sdp: string) => string = (sdp) => sdp,
  ): Promise<void> {
    await this.answer(alter(answerOf(transport, role)));
  }

  /** Connects as an SDP answer says. */
  async answer(sdp: string): Promise<void> {
    await this.#peers.call('answer', this.name, sdp);
  }

  /** Opens one more negotiated channel. */
  async openChannel(options: ChannelOptions): Promise<void> {
    this.#channels.push(options);
    await this.#peers.call('openChannel', this.name, options);
  }

  /** Sends a string or a Buffer on the channel with that id. */
  async send(id: number, message: string | Buffer): Promise<void> {
    await this.#peers.call('send', this.name, id, message);
  }

  /** Sends `count` numbered messages. */
  async sendNumbered(id: number, count: number, size: number): Promise<void> {
    await this.#peers.call('sendNumbered', this.name, id, count, size);
  }

  /** Resolves with the tally of a channel that was opened with `tally`, once `count` messages have arrived. */
  async tally(id: number, count: number): Promise<TallySummary> {
    return (await this.#peers.call('tally', this.name, id, count)) as TallySummary;
  }

  async closeChannel(id: number): Promise<void> {
    await this.#peers.call('closeChannel', this.name, id);
  }

  async close(): Promise<void> {
    await this.#peers.call('close', this.name);
  }

  /** Resolves once all channels of this client are open. */
  untilOpen(): Promise<void> {
    return until(
      this,
      'open',
      () => this.#channels.every(({ id }) => this.open.has(id)),
      () => `channels of ${this.name} open, it is '${this.state}'`,
    );
  }

  /** Resolves once the channel of the client is closed. */
  untilClosed(id: number): Promise<void> {
    return until(this, 'closed', () => this.closed.has(id), `channel ${id} of ${this.name} closed`);
  }

  untilState(state: string): Promise<void> {
    return until(
      this,
      'state',
      () => this.state === state,
      () => `${this.name} '${state}', it is '${this.state}'`,
    );
  }

  /** Resolves with all messages of a channel once there are `count` of them. */
  async untilMessages(id: number, count: number): Promise<(string | Buffer)[]> {
    const messages = (): (string | Buffer)[] => this.messages.get(id) ?? [];
    await until(
      this,
      'message',
      () => messages().length >= count,
      () => `${count} messages on channel ${id}, there are ${messages().length}`,
    );
    return messages();
  }

  /** Handles an event that the process reports. */
  handle({ event, channel = -1, message, state = '', label, protocol }: PeerEvent): void {
    switch (event) {
      case 'state':
        this.state = state;
        this.emit('state', state);
        break;
      case 'open':
        this.open.add(channel);
        this.emit('open', channel);
        break;
      case 'closed':
        this.open.delete(channel);
        this.closed.add(channel);
        this.emit('closed', channel);
        break;
      case 'message': {
        const received = typeof message === 'string' ? message : Buffer.from(message ?? []);
        const earlier = this.messages.get(channel);
        if (earlier) {
          earlier.push(received);
        } else {
          this.messages.set(channel, [received]);
        }
        this.emit('message', channel, received);
        break;
      }
      default:
        this.emit(event, channel, label, protocol);
    }
  }
}
