// The WebSocket to the server: requests with answers, and notifications. See ../server/signalling.js for the protocol.

const ANSWER_MS = 10_000;

export class Signalling {
  #socket;
  #lastId = 0;
  /** id → { resolve, reject, timer } */
  #waiting = new Map();

  /** Called with (event, data). */
  /** @type {(event: string, data: any) => void} */
  onnotification = () => {};
  /** Called once, when either side closes the socket. */
  onclose = () => {};
  #closed = false;

  static open(url) {
    return new Promise((resolve, reject) => {
      const socket = new WebSocket(url);
      // A server that hangs, or a network that is down, leaves the handshake without an answer.
      const timer = setTimeout(() => socket.close(), ANSWER_MS);
      socket.onopen = () => {
        clearTimeout(timer);
        resolve(new Signalling(socket));
      };
      socket.onclose = () => {
        clearTimeout(timer);
        reject(new Error('The server does not answer'));
      };
    });
  }

  constructor(socket) {
    this.#socket = socket;
    socket.onmessage = ({ data }) => this.#receive(JSON.parse(data));
    socket.onclose = () => this.#end();
  }

  request(method, data = {}) {
    if (this.#socket.readyState !== WebSocket.OPEN)
      return Promise.reject(new Error('Not connected to the server'));

    const id = (this.#lastId += 1);
    return new Promise((resolve, reject) => {
      const timer = setTimeout(
        () => this.#settle(id, { error: `${method}: no answer` }),
        ANSWER_MS,
      );
      this.#waiting.set(id, { resolve, reject, timer });
      this.#socket.send(JSON.stringify({ id, method, data }));
    });
  }

  close() {
    this.#socket.close();
    // The socket's own event waits for the server, which may be gone.
    this.#end();
  }

  #receive(message) {
    if (this.#closed) return;
    if (message.event) this.onnotification(message.event, message.data);
    else this.#settle(message.id, message);
  }

  #settle(id, { ok = false, data = undefined, error = '' }) {
    const request = this.#waiting.get(id);
    if (!request) return;

    this.#waiting.delete(id);
    clearTimeout(request.timer);
    if (ok) request.resolve(data);
    else request.reject(new Error(error));
  }

  #end() {
    if (this.#closed) return;

    this.#closed = true;
    for (const id of [...this.#waiting.keys()])
      this.#settle(id, { error: 'The connection to the server was lost' });
    this.onclose();
  }
}
