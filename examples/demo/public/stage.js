// The stage: the Router in the middle of the bowl, people on the rim, and a moving drop for every message that this
// page sends or receives. Drops are drawn on a canvas, because there may be hundreds.

import { Bowl } from './bowl.js';

const LEG_MS = 380;
const MAX_DROPS = 400;
const RIPPLE_MS = 900;
/** At most one drop per sender in this time for cursors, which send too many messages to show all. */
const CURSOR_DROP_EVERY_MS = 120;
const THEME_EVERY_MS = 200;

const RADIUS = { chat: 6, cursor: 2.6, ping: 2.2, telemetry: 2.2 };

export class Stage {
  #canvas;
  #context;
  #bowl;
  /** id → { id, name, hue, role, x, y, targetX, targetY, glow } */
  #nodes = new Map();
  #drops = [];
  #ripples = [];
  #lastCursorDrop = new Map();
  #width = 0;
  #height = 0;
  #ratio = 1;
  #colours;
  #coloursAt = -Infinity;
  #still = matchMedia('(prefers-reduced-motion: reduce)');

  /** Two canvases of the same size; the bowl is the lower one. */
  constructor({ bowl, drops }) {
    this.#bowl = new Bowl(bowl);
    this.#canvas = drops;
    this.#context = drops.getContext('2d');
    new ResizeObserver(() => this.#resize()).observe(drops);
    requestAnimationFrame((now) => this.#frame(now));
  }

  /** All people in the room: { id, name, hue, role }; `role` is 'you', 'bot' or 'peer'. */
  setPeople(people) {
    const before = this.#nodes;
    this.#nodes = new Map(
      people.map((person) => [person.id, { glow: 0, ...before.get(person.id), ...person }]),
    );
    this.#place();
  }

  /** Shows a message from one person to others, through the Router. */
  show(label, from, to) {
    if (this.#still.matches || document.hidden || !this.#nodes.has(from)) return;

    const now = performance.now();
    if (label === 'cursor') {
      if (now - (this.#lastCursorDrop.get(from) ?? 0) < CURSOR_DROP_EVERY_MS) return;
      this.#lastCursorDrop.set(from, now);
    }

    this.#drops.push({ label, from, to, start: now, hue: this.#nodes.get(from).hue });
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
    this.#place(true);
  }

  /** The place of the bowl, with room for names above and below. */
  get #ellipse() {
    const narrow = this.#width < 520;
    const ry = Math.max(50, Math.min(this.#height / 2 - (narrow ? 60 : 66), 300));
    const rx = Math.max(90, Math.min(this.#width / 2 - (narrow ? 44 : 90), ry * 2.2));

    return { x: this.#width / 2, y: this.#height / 2 - 2, rx, ry };
  }

  /** Places this user at the bottom, the bot at the top, and others alternately right and left. */
  #place(atOnce = false) {
    const { x, y, rx, ry } = this.#ellipse;
    const others = [...this.#nodes.values()].filter(({ role }) => role === 'peer');
    const sides = [others.filter((_, i) => i % 2 === 0), others.filter((_, i) => i % 2 === 1)];

    const put = (node, angle) => {
      node.targetX = x + rx * Math.cos(angle);
      node.targetY = y + ry * Math.sin(angle);
      if (atOnce || node.x === undefined) [node.x, node.y] = [node.targetX, node.targetY];
    };
    for (const node of this.#nodes.values()) {
      if (node.role === 'you') put(node, Math.PI / 2);
      if (node.role === 'bot') put(node, -Math.PI / 2);
    }
    sides.forEach((side, left) => {
      side.forEach((node, index) => {
        const angle = Math.PI / 2 - (Math.PI * (index + 1)) / (side.length + 1);
        put(node, left ? Math.PI - angle : angle);
      });
    });
  }

  #frame(now) {
    requestAnimationFrame((next) => this.#frame(next));
    if (this.#width === 0) return;

    // The theme may change at any time.
    if (now - this.#coloursAt > THEME_EVERY_MS) this.#prepare(now);
    this.#context.clearRect(0, 0, this.#width, this.#height);
    for (const node of this.#nodes.values()) {
      node.x += (node.targetX - node.x) * 0.14;
      node.y += (node.targetY - node.y) * 0.14;
      node.glow *= 0.93;
    }
    this.#drawThreads();
    this.#drawRipples(now);
    this.#drawDrops(now);
    this.#drawRouter();
    for (const node of this.#nodes.values()) this.#drawNode(node);
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
    for (const node of this.#nodes.values()) {
      context.beginPath();
      context.moveTo(x, y);
      context.lineTo(node.x, node.y);
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
      const from = this.#nodes.get(drop.from);
      const to = drop.to.map((id) => this.#nodes.get(id)).filter(Boolean);

      // One drop to the Router, then one to each receiver.
      if (progress < 1) {
        if (from) this.#drawDrop(drop, from, centre, Math.max(0, progress));
      } else if (progress < 2) {
        for (const node of to) this.#drawDrop(drop, centre, node, progress - 1);
      } else {
        for (const node of to) node.glow = Math.max(node.glow, drop.label === 'chat' ? 1 : 0.25);
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
    context.roundRect(x - 38, y - 17, 76, 34, 17);
    context.fill();
    context.stroke();
    context.fillStyle = ink;
    context.font = `600 13px ${font}`;
    context.textAlign = 'center';
    context.textBaseline = 'middle';
    context.fillText('Router', x, y + 0.5);
  }

  #drawNode({ x, y, name, hue, role, glow }) {
    const context = this.#context;
    const { surface, ink, muted, font } = this.#colours;
    const radius = 17 + glow * 3;

    if (glow > 0.02) {
      context.fillStyle = this.#colourOf(hue);
      context.globalAlpha = Math.min(1, glow) * 0.3;
      context.beginPath();
      context.arc(x, y, radius + 7, 0, 2 * Math.PI);
      context.fill();
      context.globalAlpha = 1;
    }

    context.fillStyle = this.#colourOf(hue);
    context.strokeStyle = surface;
    context.lineWidth = 3;
    context.beginPath();
    context.arc(x, y, radius, 0, 2 * Math.PI);
    context.fill();
    context.stroke();

    context.textAlign = 'center';
    context.textBaseline = 'middle';
    context.fillStyle = surface;
    context.font = `700 14px ${font}`;
    context.fillText([...name][0].toUpperCase(), x, y + 1);

    // Names are outside the bowl.
    const kind = { you: 'you', bot: 'Node, DirectTransport' }[role];
    const above = y < this.#ellipse.y - 8;
    context.fillStyle = ink;
    context.font = `600 12.5px ${font}`;
    context.fillText(shorten(name), x, above ? y - (kind ? 43 : 30) : y + 35);
    if (kind) {
      context.fillStyle = muted;
      context.font = `11px ${font}`;
      context.fillText(kind, x, above ? y - 29 : y + 49);
    }
  }
}

function shorten(name) {
  return name.length > 14 ? `${name.slice(0, 13)}…` : name;
}

function easeOut(t) {
  return 1 - (1 - t) ** 3;
}

function easeInOut(t) {
  return t < 0.5 ? 2 * t * t : 1 - (2 - 2 * t) ** 2 / 2;
}
