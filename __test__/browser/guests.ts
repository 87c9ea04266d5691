import { once } from 'node:events';

import WebSocket from 'ws';

/** People of the demo who take a seat and do nothing else: for these a WebSocket is enough. */
export class Guests {
  readonly #sockets: WebSocket[] = [];

  /** Seats `count` people in a room. */
  async join(url: string, room: string, count: number): Promise<void> {
    for (let number = 1; number <= count; number += 1) {
      const socket = new WebSocket(url.replace('http', 'ws'));
      this.#sockets.push(socket);
      await once(socket, 'open');
      socket.send(
        JSON.stringify({ id: 1, method: 'join', data: { room, name: `Guest no. ${number}` } }),
      );
      await once(socket, 'message');
    }
  }

  leave(): void {
    for (const socket of this.#sockets.splice(0)) socket.terminate();
  }
}
