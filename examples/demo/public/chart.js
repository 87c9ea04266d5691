// A line chart of the last `length` values, as an SVG with colours from CSS.

const SVG = 'http://www.w3.org/2000/svg';
const WIDTH = 100;
const HEIGHT = 40;

export class Chart {
  #values;
  #line;
  #area;
  #floor;

  /** `floor`: the least value of the upper edge, so that noise stays small. */
  constructor(container, { length, floor }) {
    this.#values = new Array(length).fill(undefined);
    this.#floor = floor;

    const svg = document.createElementNS(SVG, 'svg');
    svg.setAttribute('viewBox', `0 0 ${WIDTH} ${HEIGHT}`);
    svg.setAttribute('preserveAspectRatio', 'none');
    svg.setAttribute('aria-hidden', 'true');
    this.#area = svg.appendChild(document.createElementNS(SVG, 'path'));
    this.#area.setAttribute('class', 'chart-area');
    this.#line = svg.appendChild(document.createElementNS(SVG, 'path'));
    this.#line.setAttribute('class', 'chart-line');
    container.append(svg);
  }

  /** Adds a value; undefined leaves a gap. */
  push(value) {
    this.#values.shift();
    this.#values.push(value);
    this.#draw();
  }

  #draw() {
    const top = this.#top();
    const step = WIDTH / (this.#values.length - 1);
    const y = (value) => (HEIGHT - 1 - Math.min(1, value / top) * (HEIGHT - 2)).toFixed(2);

    let line = '';
    let area = '';
    let open = false;
    this.#values.forEach((value, index) => {
      const x = (index * step).toFixed(2);
      if (value === undefined) {
        if (open) area += `V${HEIGHT}Z`;
        open = false;
        return;
      }
      line += `${open ? 'L' : 'M'}${x} ${y(value)}`;
      area += open ? `L${x} ${y(value)}` : `M${x} ${HEIGHT}V${y(value)}`;
      open = true;
    });
    if (open) area += `V${HEIGHT}Z`;

    this.#line.setAttribute('d', line);
    this.#area.setAttribute('d', area);
  }

  /** The value of the upper edge. It cuts off a single spike, which would flatten the rest. */
  #top() {
    const sorted = this.#values.filter((value) => value !== undefined).sort((a, b) => a - b);
    const usual = sorted[Math.floor(sorted.length * 0.9)] ?? 0;

    return Math.max(this.#floor, usual * 1.6);
  }
}
