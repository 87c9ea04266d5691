'use strict';

// Ladle, the bot, runs in the server's process, without a socket and without WebRTC. A DirectTransport puts the bot
// behind the same Router as the browsers. It consumes every chat channel and answers on its own, and it returns pings,
// with which the page measures the round trip.
//
//   page ═ chat ═▶ Router ═▶ DataConsumer 'message' ─▶ answer() ─▶ DataProducer.send() ═▶ Router ═▶ pages
//
// Both of its DataProducers send to the whole room or, with a subchannel, to one peer: the DataConsumer of each peer
// subscribes to the peer's number.

const NAME = 'Ladle';
/** Longer messages are ignored. In bytes. */
const MAX_MESSAGE_BYTES = 4096;
/** Limits on the answers to one peer: at once, and per second. */
const ANSWERS_BURST = 5;
const ANSWERS_PER_SECOND = 1;

const HELP = [
  'I know these commands:',
  '/dice 2d6 — roll two dice',
  '/time — the time in the kitchen',
  '/echo hello — repeat it to all',
  '/stats — statistics of the kitchen',
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
  /** Peers that were greeted, and the answers that each peer may still get. */
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

  /** The DataProducers that peers consume. */
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

  /** Greets a peer once its end of the chat channel is open. */
  greet(peer, consumer) {
    if (consumer.dataProducerId !== this.#chat.id || this.#greeted.has(peer)) return;

    this.#greeted.add(peer);
    this.#whisper(
      peer,
      `Welcome, ${peer.name}! I am ${NAME}, the bot. Try /dice, or /help for more.`,
    );
  }

  sendStats(peer, stats) {
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
      // The send queue is full: this message is lost.
      console.warn(`${NAME} could not send a message: ${error.message}`);
    }
  }

  /** A token bucket per peer, so that no peer makes the bot flood the chat. */
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
      if (!this.#transport.closed)
        console.warn(`${NAME} could not get statistics: ${error.message}`);
    }
  }

  #describeKitchen({ ru_utime, ru_stime }) {
    const minutes = Math.floor((performance.now() - this.#since) / 60_000);

    return [
      `Open for ${minutes === 1 ? '1 minute' : `${minutes} minutes`}, ${this.#heard} messages heard.`,
      `The worker thread has used ${ru_utime + ru_stime} ms of CPU,`,
      `and the process ${Math.round(process.memoryUsage.rss() / 2 ** 20)} MiB of memory.`,
    ].join(' ');
  }
}

/** `{ say }` to all, `{ whisper }` to the sender, `{ stats: true }`, or undefined if no answer is due. */
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
      return { whisper: `Unknown command: /${command.slice(0, 20)}. Try /help.` };
  }
}

function rollDice(text, name) {
  const [, count, digits] = /^(\d{0,2})d(\d{1,3})$/i.exec(text) ?? [];
  const dice = Number(count || 1);
  const sides = Number(digits);
  if (!sides || dice < 1 || dice > 20 || sides < 2) {
    return { whisper: 'Up to 20 dice, for example /dice 2d6' };
  }

  const rolls = Array.from({ length: dice }, () => 1 + Math.floor(Math.random() * sides));
  const total = rolls.reduce((sum, roll) => sum + roll, 0);

  return { say: `${name} rolls ${rolls.join(' + ')}${dice > 1 ? ` = ${total}` : ''}` };
}

/** The JSON object in a message, or undefined if there is none: peers may send anything. */
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
