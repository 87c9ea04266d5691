'use strict';

// Ladle, who lives in Node. No socket, no WebRTC: a DirectTransport puts it behind the same
// Router as the browsers. It consumes every chat channel and answers on one of its own, and it
// returns pings, which is what the page's round trip is measured with.
//
//   page ═ chat ═▶ Router ═▶ DataConsumer 'message' ─▶ answer() ─▶ DataProducer.send() ═▶ Router ═▶ pages
//
// Both of its DataProducers speak to the whole room, or with a subchannel to one peer: each peer's
// consumer is subscribed to the peer's number.

const NAME = 'Ladle';
/** More than this no one types; what is longer is not read. Bytes. */
const MAX_MESSAGE_BYTES = 4096;
/** Answers that one peer may draw at once, and how fast they come back. */
const ANSWERS_BURST = 5;
const ANSWERS_PER_SECOND = 1;

const HELP = [
  'This is what I can do:',
  '/dice 2d6 — roll for you',
  '/time — what the clock in the kitchen says',
  '/echo hello — say it again',
  '/stats — how the kitchen is doing',
].join('\n');

const GREETINGS = /^(hi|hey|hello|hallo|hola|salut|moin)\b/i;

class Bot {
  id = 'bot';
  #transport;
  #chat;
  #telemetry;
  #worker;
  #since = performance.now();
  #heard = 0;
  /** Who was greeted already, and how many answers everybody may still draw: keyed by Peer. */
  #greeted = new WeakSet();
  #allowances = new WeakMap();

  static async create({ router, worker }) {
    const transport = await router.createDirectTransport({ appData: { peerId: 'bot' } });
    const [chat, telemetry] = await Promise.all(
      ['chat', 'telemetry'].map((label) =>
        transport.produceData({ label, protocol: 'json', appData: { peerId: 'bot' } }),
      ),
    );

    return new Bot({ transport, chat, telemetry, worker });
  }

  constructor({ transport, chat, telemetry, worker }) {
    this.#transport = transport;
    this.#chat = chat;
    this.#telemetry = telemetry;
    this.#worker = worker;
  }

  /** What the peers consume. */
  get producers() {
    return [this.#chat, this.#telemetry];
  }

  describe() {
    return { id: this.id, name: NAME };
  }

  /** Consumes a peer's chat or ping channel until it closes. */
  async listen(producer, peer) {
    const consumer = await this.#transport.consumeData({ dataProducerId: producer.id });

    consumer.on('message', (buffer) => {
      const message = parse(buffer);
      if (!message) return;

      if (consumer.label === 'ping') this.#pong(peer, message);
      else this.#hear(peer, message);
    });
  }

  /** A word to who has just come, once its end of the chat is open. */
  greet(peer, consumer) {
    if (consumer.dataProducerId !== this.#chat.id || this.#greeted.has(peer)) return;

    this.#greeted.add(peer);
    this.#whisper(
      peer,
      `Welcome, ${peer.name}! I am ${NAME}, the bot. Try /dice, or /help for more.`,
    );
  }

  tellStats(peer, stats) {
    this.#send(this.#telemetry, { stats }, peer);
  }

  close() {
    this.#transport.close();
  }

  #pong(peer, { seq, sentAt }) {
    if (Number.isFinite(seq) && Number.isFinite(sentAt)) {
      this.#send(this.#telemetry, { pong: { seq, sentAt } }, peer);
    }
  }

  #hear(peer, { text }) {
    if (typeof text !== 'string') return;

    this.#heard += 1;
    const answer = answerTo(text.trim(), peer);
    if (!answer || !this.#mayAnswer(peer)) return;

    if (answer.stats) this.#sayStats();
    else if (answer.whisper) this.#whisper(peer, answer.whisper);
    else this.#say(answer.say);
  }

  #say(text) {
    this.#send(this.#chat, { text });
  }

  #whisper(peer, text) {
    this.#send(this.#chat, { text, whisper: true }, peer);
  }

  #send(producer, message, peer) {
    if (producer.closed) return;

    try {
      producer.send(JSON.stringify(message), undefined, peer && [peer.number]);
    } catch (error) {
      // The queue is full: this message is lost, the next may find room.
      console.warn(`${NAME} could not speak: ${error.message}`);
    }
  }

  /** A bucket of answers per peer, so that nobody makes the bot fill everybody's chat. */
  #mayAnswer(peer) {
    const now = performance.now();
    const { left, at } = this.#allowances.get(peer) ?? { left: ANSWERS_BURST, at: now };
    const available = Math.min(ANSWERS_BURST, left + ((now - at) / 1000) * ANSWERS_PER_SECOND);
    const allowed = available >= 1;
    this.#allowances.set(peer, { left: allowed ? available - 1 : available, at: now });

    return allowed;
  }

  async #sayStats() {
    try {
      this.#say(this.#describeKitchen(await this.#worker.getResourceUsage()));
    } catch (error) {
      if (!this.#transport.closed) console.warn(`${NAME} has no statistics: ${error.message}`);
    }
  }

  #describeKitchen({ ru_utime, ru_stime }) {
    const minutes = Math.floor((performance.now() - this.#since) / 60_000);

    return [
      `Open for ${minutes === 1 ? '1 minute' : `${minutes} minutes`}, ${this.#heard} messages heard.`,
      `The worker's thread has used ${ru_utime + ru_stime} ms of CPU so far,`,
      `and Node holds ${Math.round(process.memoryUsage.rss() / 2 ** 20)} MB.`,
    ].join(' ');
  }
}

/** { say } to all, { whisper } to who asked, { stats: true }, or undefined: not meant for a bot. */
function answerTo(text, { name }) {
  const [, command, rest] = /^\/(\S*)\s*([\s\S]*)$/.exec(text) ?? [];

  switch (command?.toLowerCase()) {
    case undefined:
      if (GREETINGS.test(text)) return { say: `Hello, ${name}!` };
      if (/\bsoup\b/i.test(text)) return { say: 'Did someone say soup?' };
      return undefined;
    case 'help':
      return { whisper: HELP };
    case 'echo':
      return { say: rest || '…' };
    case 'dice':
      return rollDice(rest || '1d6', name);
    case 'time':
      return { say: `It is ${new Date().toLocaleTimeString('en-GB')} in the kitchen.` };
    case 'stats':
      return { stats: true };
    default:
      return { whisper: `I do not know /${command.slice(0, 20)}. /help tells what I know.` };
  }
}

function rollDice(text, name) {
  const [, count, digits] = /^(\d{0,2})d(\d{1,3})$/i.exec(text) ?? [];
  const dice = Number(count || 1);
  const sides = Number(digits);
  if (!sides || dice < 1 || dice > 20 || sides < 2) {
    return { whisper: 'Up to 20 dice, please, like this: /dice 2d6' };
  }

  const rolls = Array.from({ length: dice }, () => 1 + Math.floor(Math.random() * sides));
  const total = rolls.reduce((sum, roll) => sum + roll, 0);

  return { say: `${name} rolls ${rolls.join(' + ')}${dice > 1 ? ` = ${total}` : ''}` };
}

/** A peer may send anything at all: what is no JSON object is nothing. */
function parse(buffer) {
  if (buffer.length > MAX_MESSAGE_BYTES) return undefined;

  try {
    const message = JSON.parse(buffer.toString());
    return typeof message === 'object' && message !== null ? message : undefined;
  } catch {
    return undefined;
  }
}

module.exports = { Bot };
