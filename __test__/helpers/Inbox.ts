import { until, type Emitter } from './wait';

/** A received message in a form that is easy to compare; `text` is latin1. */
export interface Received {
  text: string;
  ppid: number;
}

/** Keeps the messages that a direct DataConsumer receives. */
export class Inbox {
  readonly messages: Received[] = [];
  readonly buffers: Buffer[] = [];
  readonly #consumer: Emitter;

  constructor(dataConsumer: Emitter) {
    this.#consumer = dataConsumer;
    dataConsumer.on('message', (message: Buffer, ppid: number) => {
      this.messages.push({ text: message.toString('latin1'), ppid });
      this.buffers.push(message);
    });
  }

  /** The texts of all messages so far. */
  get texts(): string[] {
    return this.messages.map(({ text }) => text);
  }

  /** Resolves with all messages once there are at least `count`. */
  async count(count: number): Promise<Received[]> {
    await until(
      this.#consumer,
      'message',
      () => this.messages.length >= count,
      () => `${count} messages, there are ${this.messages.length}`,
    );
    return this.messages;
  }
}
