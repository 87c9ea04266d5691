'use strict';

// The world of the game, which the server computes once per tick. Players only send where they want to go.

/** Side of the square that is the world, and the speed of players in it, per tick. */
const SIZE = 1000;
const SPEED = 6;
const INPUT_BYTES = 6;
const HEADER_BYTES = 4;
const PLAYER_BYTES = 10;

class World {
  tick = 0;
  /** number → { x, y, dx, dy, seq } */
  #players = new Map();

  get numbers() {
    return [...this.#players.keys()];
  }

  add(number) {
    this.#players.set(number, { x: SIZE / 2, y: SIZE / 2, dx: 0, dy: 0, seq: 0 });
  }

  remove(number) {
    this.#players.delete(number);
  }

  /**
   * Takes the input of a player: u32 number of the input, i8 right, i8 down. The channel is not ordered: an input that
   * is older than the one in force came late, and has no effect.
   */
  steer(number, input) {
    const player = this.#players.get(number);
    if (!player || input.length !== INPUT_BYTES) return;

    const seq = input.readUInt32BE(0);
    if (seq <= player.seq) return;

    const [dx, dy] = [input.readInt8(4) / 127, input.readInt8(5) / 127];
    // A cheat that claims to be faster moves as fast as all others.
    const speed = SPEED / Math.max(1, Math.hypot(dx, dy));
    Object.assign(player, { seq, dx: dx * speed, dy: dy * speed });
  }

  step() {
    this.tick += 1;
    for (const player of this.#players.values()) {
      player.x = Math.min(SIZE, Math.max(0, player.x + player.dx));
      player.y = Math.min(SIZE, Math.max(0, player.y + player.dy));
    }
  }

  /** u32 tick; for each player: u16 number, u16 x, u16 y, u32 number of the last input that it contains. */
  snapshot() {
    const snapshot = Buffer.alloc(HEADER_BYTES + this.#players.size * PLAYER_BYTES);
    snapshot.writeUInt32BE(this.tick);
    let at = HEADER_BYTES;
    for (const [number, { x, y, seq }] of this.#players) {
      at = snapshot.writeUInt16BE(number, at);
      at = snapshot.writeUInt16BE(Math.round(x), at);
      at = snapshot.writeUInt16BE(Math.round(y), at);
      at = snapshot.writeUInt32BE(seq, at);
    }

    return snapshot;
  }
}

module.exports = { World };
