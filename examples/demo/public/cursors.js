// The pointers of all people over the stage. Positions are unordered and not resent, because the next one is better
// than a late one. Each has a number, so that a receiver can skip late positions and count lost ones.

const SEND_EVERY_MS = 33;
/** The last position of a movement is sent twice, because no later one would replace it. */
const REPEAT_AFTER_MS = 150;
const QUIET_AFTER_MS = 4000;

export class Cursors {
  #stage;
  #layer;
  #send;
  #onripple;
  #seq = 0;
  #latest;
  #sentAt = 0;
  #timer;
  /** peer id → { element, seq, lost, quietTimer } */
  #cursors = new Map();

  constructor({ stage, layer, send, onripple }) {
    this.#stage = stage;
    this.#layer = layer;
    this.#send = send;
    this.#onripple = onripple;

    stage.addEventListener('pointermove', (event) => this.#moved(event));
    stage.addEventListener('pointerdown', (event) => this.#pressed(event));
    stage.addEventListener('pointerleave', () => this.#transmit({ gone: true }));
  }

  /** Positions that did not arrive. */
  get lost() {
    let lost = 0;
    for (const cursor of this.#cursors.values()) lost += cursor.lost;

    return lost;
  }

  receive(peer, { seq, x, y, gone, ripple }) {
    if (!Number.isSafeInteger(seq)) return;

    const cursor = this.#cursors.get(peer.id) ?? this.#create(peer, seq);
    const step = seq - cursor.seq;
    if (step < 0) {
      // A later position overtook this one, which was counted as lost and is useless now.
      cursor.lost = Math.max(0, cursor.lost - 1);
      return;
    }
    if (step > 1) cursor.lost += step - 1;
    cursor.seq = seq;

    cursor.element.classList.toggle('gone', gone === true);
    if (!isPlace(x) || !isPlace(y)) return;

    cursor.element.style.left = `${x * 100}%`;
    cursor.element.style.top = `${y * 100}%`;
    cursor.element.classList.remove('quiet');
    clearTimeout(cursor.quietTimer);
    cursor.quietTimer = setTimeout(() => cursor.element.classList.add('quiet'), QUIET_AFTER_MS);
    if (ripple) this.#onripple(peer, x, y);
  }

  remove(peerId) {
    const cursor = this.#cursors.get(peerId);
    if (!cursor) return;

    clearTimeout(cursor.quietTimer);
    cursor.element.remove();
    this.#cursors.delete(peerId);
  }

  #create(peer, seq) {
    const element = this.#layer.appendChild(document.createElement('div'));
    element.className = 'cursor';
    element.dataset.peer = peer.id;
    element.style.setProperty('--hue', peer.hue);
    const label = element.appendChild(document.createElement('span'));
    label.textContent = peer.name;

    const cursor = { element, seq, lost: 0 };
    this.#cursors.set(peer.id, cursor);

    return cursor;
  }

  #place({ clientX, clientY }) {
    const { left, top, width, height } = this.#stage.getBoundingClientRect();
    const place = (value) => Math.round(Math.min(1, Math.max(0, value)) * 10_000) / 10_000;

    return { x: place((clientX - left) / width), y: place((clientY - top) / height) };
  }

  #moved(event) {
    this.#latest = this.#place(event);
    clearTimeout(this.#timer);

    const wait = this.#sentAt + SEND_EVERY_MS - performance.now();
    if (wait <= 0) this.#transmitLatest();
    else this.#timer = setTimeout(() => this.#transmitLatest(), wait);
  }

  #pressed(event) {
    const place = this.#place(event);
    this.#transmit({ ...place, ripple: true });
    this.#onripple(undefined, place.x, place.y);
  }

  #transmitLatest() {
    this.#transmit(this.#latest);
    this.#timer = setTimeout(() => this.#transmit(this.#latest), REPEAT_AFTER_MS);
  }

  #transmit(message) {
    clearTimeout(this.#timer);
    // Only positions that were sent take a number: others are not lost.
    if (this.#send({ seq: this.#seq + 1, ...message })) this.#seq += 1;
    this.#sentAt = performance.now();
  }
}

function isPlace(value) {
  return Number.isFinite(value) && value >= 0 && value <= 1;
}
