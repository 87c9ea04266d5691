// The stage: the Router in the middle of the bowl, people on the rim, and a moving drop for every message that this
// page sends or receives. Drops are drawn on a canvas, because there may be hundreds.

import { Bowl } from './bowl.js';
import { boxAround, placeLabels, seatAround } from './seats.js';

const LEG_MS = 380;
const MAX_DROPS = 400;
const RIPPLE_MS = 900;
/** At most one drop per sender in this time for cursors, which send too many messages to show all. */
const CURSOR_DROP_EVERY_MS = 120;
const THEME_EVERY_MS = 200;

const RADIUS = { chat: 6, cursor: 2.6, ping: 2.2, telemetry: 2.2 };
const ROUTER = { width: 76, height: 34 };
const KINDS = { you: 'you', bot: 'Node, DirectTransport' };

export class Stage {
  #canvas;
  #context;
  #bowl;
  #list;
  #texts;
  /** id → { x, y, hue, element, label } */
  #seats = new Map();
  #people = [];
  #drops = [];
  #ripples = [];
  #lastCursorDrop = new Map();
  #width = 0;
  #height = 0;
  #ratio = 1;
  #colours;
  #coloursAt = -Infinity;
  #still = matchMedia('(prefers-reduced-motion: reduce)');

  /** Two canvases of the same size, the bowl below the drops; the list of people above them; other texts there. */
  constructor({ bowl, drops, seats, texts }) {
    this.#bowl = new Bowl(bowl);
    this.#list = seats;
    this.#texts = [...texts];
    this.#canvas = drops;
    this.#context = drops.getContext('2d');
    new ResizeObserver(() => this.#resize()).observe(drops);
    requestAnimationFrame((now) => this.#frame(now));
  }

  /** All people in the room: { id, name, hue, role }; `role` is 'you', 'bot' or 'peer'. */
  setPeople(people) {
    const before = this.#seats;
    this.#people = people;
    this.#seats = new Map(people.map((it) => [it.id, before.get(it.id) ?? createSeat(it)]));
    for (const [id, { element }] of before) if (!this.#seats.has(id)) element.remove();
    for (const [id, { element }] of this.#seats) if (!before.has(id)) this.#list.append(element);
    this.#place();
  }

  /** Shows a message from one person to others, through the Router. */
  show(label, from, to) {
    if (this.#still.matches || document.hidden || !this.#seats.has(from)) return;

    const now = performance.now();
    if (label === 'cursor') {
      if (now - (this.#lastCursorDrop.get(from) ?? 0) < CURSOR_DROP_EVERY_MS) return;
      this.#lastCursorDrop.set(from, now);
    }

    this.#drops.push({ label, from, to, start: now, hue: this.#seats.get(from).hue });
    if (this.#drops.length > MAX_DROPS) this.#drops.shift();
  }

  ripple(x, y, hue) {
    this.#ripples.push({ x, y, hue, start: performance.now() });
    if (this.#ripples.length > 50) this.#ripples.shift();
  }

  #resize() {
    this.#ratio = Math.min(window.devicePixelRatio || 1, 2);
    this.#width = this.#canvas.clientWidth;
    this.#height = this.#canvas.clientHeight;
    this.#canvas.width = Math.round(this.#width * this.#ratio);
    this.#canvas.height = Math.round(this.#height * this.#ratio);
    this.#context.setTransform(this.#ratio, 0, 0, this.#ratio, 0, 0);
    this.#coloursAt = -Infinity;
    this.#place();
  }

  /** The place of the bowl, with room for names above and below. */
  get #ellipse() {
    const narrow = this.#width < 520;
    const ry = Math.max(50, Math.min(this.#height / 2 - (narrow ? 60 : 66), 300));
    const rx = Math.max(90, Math.min(this.#width / 2 - (narrow ? 44 : 90), ry * 2.2));

    return { x: this.#width / 2, y: this.#height / 2 - 2, rx, ry };
  }

  #place() {
    const centre = this.#ellipse;
    const { places, radius } = seatAround(centre, this.#people);
    for (const { element } of this.#seats.values()) element.classList.remove('crowded');
    const labels = [...this.#seats].map(([id, seat]) => {
      Object.assign(seat, places.get(id));
      return {
        id,
        ...places.get(id),
        width: seat.label.offsetWidth,
        height: seat.label.offsetHeight,
      };
    });
    const labelPlaces = placeLabels(labels, {
      radius,
      centre,
      taken: [
        boxAround(centre.x, centre.y, ROUTER.width, ROUTER.height),
        ...this.#texts.map(({ offsetLeft, offsetTop, offsetWidth, offsetHeight }) => ({
          x: offsetLeft,
          y: offsetTop,
          width: offsetWidth,
          height: offsetHeight,
        })),
      ],
      stage: { width: this.#width, height: this.#height },
    });

    this.#list.style.setProperty('--seat', `${radius}px`);
    for (const [id, { x, y, element, label }] of this.#seats) {
      const place = labelPlaces.get(id);
      element.style.left = `${x}px`;
      element.style.top = `${y}px`;
      // A name without room is hidden, but stays in the list for screen readers.
      element.classList.toggle('crowded', !place);
      if (place) label.style.translate = `${place.x - x}px ${place.y - y}px`;
    }
  }

  #frame(now) {
    requestAnimationFrame((next) => this.#frame(next));
    if (this.#width === 0) return;

    // The theme may change at any time.
    if (now - this.#coloursAt > THEME_EVERY_MS) this.#prepare(now);
    this.#context.clearRect(0, 0, this.#width, this.#height);
    this.#drawThreads();
    this.#drawRipples(now);
    this.#drawDrops(now);
    this.#drawRouter();
  }

  /** Colours are registered in style.css, so that the browser resolves them here. */
  #prepare(now) {
    const style = getComputedStyle(this.#canvas);
    const read = (name) => style.getPropertyValue(name).trim();
    this.#coloursAt = now;
    this.#colours = {
      ink: read('--ink'),
      muted: read('--muted'),
      line: read('--line'),
      surface: read('--surface'),
      rim: read('--rim'),
      broth: read('--broth'),
      brothEdge: read('--broth-edge'),
      shade: read('--shade'),
      gleam: read('--gleam'),
      thread: read('--thread'),
      peerLight: read('--peer-light'),
      peerChroma: read('--peer-chroma'),
      font: style.fontFamily,
    };
    this.#bowl.update({
      width: this.#width,
      height: this.#height,
      ratio: this.#ratio,
      bowl: this.#ellipse,
      colours: this.#colours,
    });
  }

  /** Each person has a hue; the bot has the colour of text. */
  #colourOf(hue, alpha = 1) {
    const { ink, peerLight, peerChroma } = this.#colours;

    return hue === undefined ? ink : `oklch(${peerLight} ${peerChroma} ${hue} / ${alpha})`;
  }

  #drawThreads() {
    const context = this.#context;
    const { x, y } = this.#ellipse;
    context.lineWidth = 1.5;
    context.lineCap = 'round';
    context.strokeStyle = this.#colours.thread;
    context.setLineDash([0.5, 7]);
    for (const seat of this.#seats.values()) {
      context.beginPath();
      context.moveTo(x, y);
      context.lineTo(seat.x, seat.y);
      context.stroke();
    }
    context.setLineDash([]);
  }

  #drawRipples(now) {
    const context = this.#context;
    this.#ripples = this.#ripples.filter(({ start }) => now - start < RIPPLE_MS);
    for (const { x, y, hue, start } of this.#ripples) {
      for (const delay of [0, 160]) {
        const progress = Math.max(0, now - start - delay) / (RIPPLE_MS - delay);
        if (progress === 0) continue;
        context.lineWidth = 2;
        context.strokeStyle = this.#colourOf(hue, 1 - progress);
        context.beginPath();
        context.arc(x * this.#width, y * this.#height, 6 + 46 * easeOut(progress), 0, 2 * Math.PI);
        context.stroke();
      }
    }
  }

  #drawDrops(now) {
    const centre = this.#ellipse;
    this.#drops = this.#drops.filter((drop) => {
      const progress = (now - drop.start) / LEG_MS;
      const from = this.#seats.get(drop.from);
      const to = drop.to.map((id) => this.#seats.get(id)).filter(Boolean);

      // One drop to the Router, then one to each receiver.
      if (progress < 1) {
        if (from) this.#drawDrop(drop, from, centre, Math.max(0, progress));
      } else if (progress < 2) {
        for (const seat of to) this.#drawDrop(drop, centre, seat, progress - 1);
      } else {
        if (drop.label === 'chat') for (const { element } of to) glow(element);
        return false;
      }

      return true;
    });
  }

  #drawDrop({ label, hue }, from, to, progress) {
    const context = this.#context;
    const eased = easeInOut(progress);
    context.beginPath();
    context.arc(
      from.x + (to.x - from.x) * eased,
      from.y + (to.y - from.y) * eased,
      RADIUS[label] ?? 3,
      0,
      2 * Math.PI,
    );
    const words = label === 'chat';
    const heartbeat = label === 'ping' || label === 'telemetry';
    context.fillStyle = heartbeat ? this.#colours.muted : this.#colourOf(hue);
    context.fill();
    if (words) {
      context.lineWidth = 2;
      context.strokeStyle = this.#colours.surface;
      context.stroke();
    }
  }

  #drawRouter() {
    const context = this.#context;
    const { x, y } = this.#ellipse;
    const { surface, ink, line, font } = this.#colours;

    context.fillStyle = surface;
    context.strokeStyle = line;
    context.lineWidth = 1;
    context.beginPath();
    context.roundRect(
      x - ROUTER.width / 2,
      y - ROUTER.height / 2,
      ROUTER.width,
      ROUTER.height,
      ROUTER.height / 2,
    );
    context.fill();
    context.stroke();
    context.fillStyle = ink;
    context.font = `600 13px ${font}`;
    context.textAlign = 'center';
    context.textBaseline = 'middle';
    context.fillText('Router', x, y + 0.5);
  }
}

/** A seat in the list of people: a badge with an initial, and a label with the name. */
function createSeat({ name, hue, role }) {
  const element = document.createElement('li');
  element.className = `seat ${role}`;
  if (hue !== undefined) element.style.setProperty('--hue', hue);

  const badge = element.appendChild(document.createElement('span'));
  badge.className = 'badge';
  badge.textContent = [...name][0].toUpperCase();
  badge.setAttribute('aria-hidden', 'true');

  const label = element.appendChild(document.createElement('span'));
  label.className = 'label';
  label.appendChild(document.createElement('b')).textContent = name;
  if (KINDS[role]) label.appendChild(document.createElement('small')).textContent = KINDS[role];

  return { x: 0, y: 0, hue, element, label };
}

/** Shows that a message has arrived. */
function glow(element) {
  element.firstElementChild.animate(
    { boxShadow: ['0 0 0 8px var(--halo)', '0 0 0 8px var(--halo)', '0 0 0 8px transparent'] },
    600,
  );
}

function easeOut(t) {
  return 1 - (1 - t) ** 3;
}

function easeInOut(t) {
  return t < 0.5 ? 2 * t * t : 1 - (2 - 2 * t) ** 2 / 2;
}
