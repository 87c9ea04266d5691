/// <reference lib="dom" />

import type { Page } from 'playwright-core';
import type { types } from '../..';
import { answerOf, dtlsParametersOf } from '../../examples/sdp';

/**
 * A page with one RTCPeerConnection, without mediasoup-client and without signalling. The test drives and observes
 * the connection from Node.js.
 */

interface ChannelState {
  channel: RTCDataChannel;
  received: (string | number[])[];
}

declare const connection: RTCPeerConnection;
declare const channels: Map<number, ChannelState>;

/** The RTCPeerConnection of a page. */
export class BrowserClient {
  readonly page: Page;

  /**
   * Connects to `transport` with channels on `streams`, and waits until the channels are open. Channels that are not
   * `negotiated` are opened in band on streams that the browser chooses: the even ones. `init` applies to all channels,
   * or is a function of the stream; `alter` changes the SDP answer that the browser gets.
   */
  static async connect(
    page: Page,
    transport: types.WebRtcTransport,
    streams: number[],
    init: RTCDataChannelInit | ((stream: number) => RTCDataChannelInit) = {},
    alter: (sdp: string) => string = (sdp) => sdp,
  ): Promise<BrowserClient> {
    const client = new BrowserClient(page);
    const inits = streams.map((id) => {
      const { negotiated = true, ...rest } = typeof init === 'function' ? init(id) : init;
      return [id, { ...rest, negotiated, ...(negotiated && { id }) }];
    });
    const offer = await page.evaluate(async (wanted) => {
      const made = new RTCPeerConnection();
      const states = new Map<number, ChannelState>();
      Object.assign(globalThis, { connection: made, channels: states });
      for (const [id, options] of wanted as [number, RTCDataChannelInit][]) {
        const channel = made.createDataChannel(`channel ${id}`, options);
        const received: ChannelState['received'] = [];
        channel.binaryType = 'arraybuffer';
        channel.onmessage = ({ data }) =>
          received.push(typeof data === 'string' ? data : Array.from(new Uint8Array(data)));
        states.set(id, { channel, received });
      }
      await made.setLocalDescription();
      return made.localDescription!.sdp;
    }, inits);
    await transport.connect({ dtlsParameters: dtlsParametersOf(offer) });
    await client.answer(transport, alter);
    await client.untilOpen();
    return client;
  }

  private constructor(page: Page) {
    this.page = page;
  }

  /** Gives the page the SDP answer of `transport`. */
  async answer(
    transport: types.WebRtcTransport,
    alter: (sdp: string) => string = (sdp) => sdp,
  ): Promise<void> {
    await this.page.evaluate(
      (sdp) => connection.setRemoteDescription({ type: 'answer', sdp }),
      alter(answerOf(transport)),
    );
  }

  /** Begins an ICE restart; `answer()` completes it. */
  async restartIce(): Promise<void> {
    await this.page.evaluate(async () => {
      connection.restartIce();
      await connection.setLocalDescription();
    });
  }

  async untilOpen(): Promise<void> {
    await this.page.waitForFunction(() =>
      [...channels.values()].every(({ channel }) => channel.readyState === 'open'),
    );
  }

  /** The streams of the channels, as the browser sees them. */
  async streams(): Promise<(number | null)[]> {
    return this.page.evaluate(() => [...channels.values()].map(({ channel }) => channel.id));
  }

  async closeChannel(id: number): Promise<void> {
    await this.page.evaluate((stream) => channels.get(stream)?.channel.close(), id);
  }

  async untilClosed(id: number): Promise<void> {
    await this.page.waitForFunction(
      (stream) => channels.get(stream)?.channel.readyState === 'closed',
      id,
    );
  }

  /** Lets the page's thread do nothing else for `ms`, from the next task on. */
  async keepBusy(ms: number): Promise<void> {
    await this.page.evaluate((time) => {
      setTimeout(() => {
        for (const end = performance.now() + time; performance.now() < end;);
      });
    }, ms);
  }

  async send(id: number, message: string): Promise<void> {
    await this.page.evaluate(
      ([to, text]) => channels.get(to as number)?.channel.send(text as any),
      [id, message] as const,
    );
  }

  /** Sends `count` messages of `size` bytes; the first four of each are its number. */
  async sendNumbered(id: number, count: number, size: number): Promise<void> {
    await this.page.evaluate(
      ({ to, messages, bytes }) => {
        for (let number = 0; number < messages; number += 1) {
          const message = new DataView(new ArrayBuffer(bytes));
          message.setUint32(0, number);
          channels.get(to)?.channel.send(message);
        }
      },
      { to: id, messages: count, bytes: size },
    );
  }

  /** Resolves once there are `count` messages of a channel. */
  async count(id: number, count: number): Promise<void> {
    await this.page.waitForFunction(
      ([stream, wanted]) => (channels.get(stream!)?.received.length ?? 0) >= wanted!,
      [id, count],
    );
  }

  /** The messages of a channel once there are `count`: texts, and the length of binary ones. */
  async received(id: number, count: number): Promise<(string | number)[]> {
    await this.count(id, count);
    return this.page.evaluate(
      (stream) =>
        channels
          .get(stream)!
          .received.map((each) => (typeof each === 'string' ? each : each.length)),
      id,
    );
  }

  /** The protocol of the selected candidate pair in the browser's statistics. */
  async protocol(): Promise<string | undefined> {
    return this.page.evaluate(async () => {
      const report = await connection.getStats();
      const all = [...(report as unknown as Map<string, any>).values()];
      const transport = all.find(({ type }) => type === 'transport');
      const pair = all.find(({ id }) => id === transport?.selectedCandidatePairId);
      return all.find(({ id }) => id === pair?.remoteCandidateId)?.protocol;
    });
  }

  async close(): Promise<void> {
    await this.page.evaluate(() => connection.close());
  }
}
