// The live panel: the state of the connection, and its traffic. Once per second it shows the page's own counters and
// the server's latest statistics. While there is no connection, or pings stay unanswered, it shows no figures, because
// the last ones would look current.

import { Chart } from './chart.js';

const PING_EVERY_MS = 500;
/** A pong that takes longer counts as lost. */
const PONG_WITHIN_MS = 3000;
const RTT_SHOWN = 60;
const RATE_SHOWN = 60;
/** What the panel shows before the first statistics of the server arrive. */
const NO_STATS = { messagesDropped: 0, bufferedAmount: 0, chunksRetransmitted: 0 };
/** Stands for a figure that is not known. */
const NONE = '–';

const GOOD = new Set(['connected', 'completed']);
const BAD = new Set(['failed', 'closed', 'disconnected']);

export class Panel {
  #element;
  #ping;
  #lostCursors;
  #bufferedAmount;
  #onsilence;
  /** Whether the figures are current. */
  #live = false;
  #silent = false;
  #pongAt = -Infinity;
  #seq = 0;
  /** seq → time of sending */
  #pings = new Map();
  #lostPings = 0;
  #rtts = [];
  #counts = { in: 0, out: 0 };
  /** @type {typeof NO_STATS & { roundTripTime?: number }} */
  #server = NO_STATS;
  #charts;

  /**
   * `ping(message)` returns whether it could send; `lostCursors()` and `bufferedAmount()` are called once per second;
   * `onsilence(silent)` is called when pings stay unanswered, and when an answer comes again.
   */
  constructor(element, { ping, lostCursors, bufferedAmount, onsilence }) {
    this.#element = element;
    this.#onsilence = onsilence;
    this.#ping = ping;
    this.#lostCursors = lostCursors;
    this.#bufferedAmount = bufferedAmount;
    this.#charts = {
      rtt: new Chart(this.#part('chart', 'rtt'), { length: RTT_SHOWN, floor: 2 }),
      in: new Chart(this.#part('chart', 'in'), { length: RATE_SHOWN, floor: 10 }),
      out: new Chart(this.#part('chart', 'out'), { length: RATE_SHOWN, floor: 10 }),
    };

    setInterval(() => this.#sendPing(), PING_EVERY_MS);
    // Refresh between two pings: right after a ping, the ping itself would always be in the buffered amount.
    setTimeout(() => setInterval(() => this.#refresh(), 1000), PING_EVERY_MS / 2);
  }

  /**
   * @param {'send' | 'recv'} direction
   * @param {Record<string, any>} states Any of iceState, dtlsState, sctpState, browser, iceSelectedTuple.
   */
  setStates(direction, { iceSelectedTuple, ...states }) {
    for (const [name, state] of Object.entries(states)) {
      const cell = this.#part('state', `${direction}-${name}`);
      cell.textContent = state;
      cell.dataset.level = GOOD.has(state) ? 'good' : BAD.has(state) ? 'bad' : 'waiting';
    }
    if (iceSelectedTuple) {
      const { protocol, localPort } = iceSelectedTuple;
      const address = iceSelectedTuple.localAddress ?? iceSelectedTuple.localIp;
      this.#part('value', 'tuple').textContent = `${protocol} ${address}:${localPort}`;
    }
  }

  /** All states at once: 'new' before a connection, 'closed' after it. */
  reset(state) {
    this.#pings.clear();
    this.#rtts = [];
    this.#server = NO_STATS;
    this.#silent = false;
    this.#setLive(false);
    this.#part('value', 'tuple').textContent = '';
    for (const direction of /** @type {const} */ (['send', 'recv'])) {
      this.setStates(direction, {
        iceState: state,
        dtlsState: state,
        sctpState: state,
        browser: state,
      });
    }
  }

  countIn() {
    this.#counts.in += 1;
  }

  countOut() {
    this.#counts.out += 1;
  }

  /** From the bot: the echo of a ping, or the server's statistics of this peer. */
  receive({ pong, stats }) {
    if (pong && this.#pings.delete(pong.seq)) {
      this.#pongAt = performance.now();
      this.#setSilent(false);
      this.#setLive(true);
      const rtt = this.#pongAt - pong.sentAt;
      this.#rtts.push(rtt);
      if (this.#rtts.length > RTT_SHOWN) this.#rtts.shift();
      this.#charts.rtt.push(rtt);
      this.#showRtt(rtt);
    }
    if (stats) this.#server = stats;
  }

  #sendPing() {
    const now = performance.now();
    for (const [seq, sentAt] of this.#pings) {
      if (now - sentAt < PONG_WITHIN_MS) break;
      this.#pings.delete(seq);
      this.#lostPings += 1;
      // A single ping may get lost, but no later one was answered either.
      if (this.#pongAt < sentAt) this.#setSilent(true);
      if (this.#live) this.#charts.rtt.push(undefined);
    }
    if (!this.#live) this.#charts.rtt.push(undefined);

    // Do not ping from a background tab: browsers throttle such tabs, and the delay would show as latency.
    if (document.hidden) return;
    const seq = this.#seq + 1;
    if (!this.#ping({ seq, sentAt: now })) return;

    this.#seq = seq;
    this.#pings.set(seq, now);
  }

  #showRtt(rtt) {
    const sorted = [...this.#rtts].sort((a, b) => a - b);
    this.#show('rtt', milliseconds(rtt));
    this.#show('rtt-min', milliseconds(sorted[0]));
    this.#show('rtt-median', milliseconds(sorted[sorted.length >> 1]));
    this.#show('rtt-max', milliseconds(sorted.at(-1)));
  }

  #refresh() {
    for (const way of ['in', 'out']) {
      const count = this.#counts[way];
      this.#counts[way] = 0;
      this.#charts[way].push(this.#live ? count : undefined);
      if (this.#live) this.#show(way, String(count));
    }
    if (!this.#live) return;

    const { roundTripTime } = this.#server;
    this.#show('rtt-sctp', roundTripTime === undefined ? NONE : milliseconds(roundTripTime));
    this.#show('buffered-browser', bytes(this.#bufferedAmount()));
    this.#show('buffered-server', bytes(this.#server.bufferedAmount));
    this.#show('resent-server', String(this.#server.chunksRetransmitted));
    this.#show('drops-server', String(this.#server.messagesDropped));
    this.#show('drops-cursor', String(this.#lostCursors()));
    this.#show('drops-ping', String(this.#lostPings));
  }

  #setSilent(silent) {
    if (silent === this.#silent) return;

    this.#silent = silent;
    if (silent) this.#setLive(false);
    this.#onsilence(silent);
  }

  #setLive(live) {
    this.#live = live;
    this.#element.dataset.live = String(live);
    if (live) return;

    for (const figure of this.#element.querySelectorAll('[data-value]:not([data-value="tuple"])')) {
      figure.textContent = NONE;
    }
  }

  #show(name, text) {
    this.#part('value', name).textContent = text;
  }

  #part(kind, name) {
    return this.#element.querySelector(`[data-${kind}="${name}"]`);
  }
}

function milliseconds(value) {
  return value.toFixed(value < 10 ? 1 : 0);
}

function bytes(amount) {
  if (amount < 1000) return `${amount} B`;
  if (amount < 1e6) return `${(amount / 1e3).toFixed(1)} kB`;

  return `${(amount / 1e6).toFixed(1)} MB`;
}
