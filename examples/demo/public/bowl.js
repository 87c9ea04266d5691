// The bowl in the background, seen from above. It changes only with size and theme, so it has its own canvas.

const RIM = 18;

export class Bowl {
  #canvas;
  #key;

  constructor(canvas) {
    this.#canvas = canvas;
  }

  /** `width` and `height` of the canvas in CSS pixels; `ratio`: device pixels per CSS pixel. */
  update({ width, height, ratio, bowl, colours }) {
    const key = [width, height, ratio, bowl.rx, bowl.ry, colours.broth, colours.rim].join();
    if (key === this.#key) return;

    this.#key = key;
    this.#canvas.width = Math.round(width * ratio);
    this.#canvas.height = Math.round(height * ratio);
    const context = this.#canvas.getContext('2d');
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    paint(context, bowl, colours);
  }
}

function paint(context, { x, y, rx, ry }, { broth, brothEdge, rim, line, shade, gleam }) {
  const ellipse = (inset) => {
    context.beginPath();
    context.ellipse(x, y, rx - inset, ry - inset, 0, 0, 2 * Math.PI);
  };

  // China, and its shadow on the table.
  context.save();
  context.shadowColor = shade;
  context.shadowBlur = 34;
  context.shadowOffsetY = 14;
  context.fillStyle = rim;
  ellipse(-RIM / 2);
  context.fill();
  context.restore();
  context.lineWidth = 1;
  context.strokeStyle = line;
  ellipse(-RIM / 2);
  context.stroke();

  // Broth, lighter in the middle.
  ellipse(RIM / 2);
  context.save();
  context.clip();
  context.translate(x, y);
  context.scale(1, ry / rx);
  const gradient = context.createRadialGradient(0, -rx * 0.1, rx * 0.05, 0, 0, rx);
  gradient.addColorStop(0, broth);
  gradient.addColorStop(1, brothEdge);
  context.fillStyle = gradient;
  context.fillRect(-rx, -rx, 2 * rx, 2 * rx);
  context.restore();

  // The rim's shadow falls on the broth from above.
  context.save();
  ellipse(RIM / 2);
  context.clip();
  context.shadowColor = shade;
  context.shadowBlur = 22;
  context.shadowOffsetY = 8;
  context.lineWidth = RIM;
  context.strokeStyle = rim;
  ellipse(0);
  context.stroke();
  context.restore();

  // Light on the surface.
  context.strokeStyle = gleam;
  context.lineCap = 'round';
  for (const [inset, from, to, width] of [
    [46, 1.1, 1.36, 2.5],
    [46, 1.39, 1.42, 2.5],
    [64, 1.17, 1.27, 1.8],
    [46, 0.14, 0.3, 2],
  ]) {
    if (ry < 2 * inset) continue;
    context.lineWidth = width;
    context.beginPath();
    context.ellipse(x, y, rx - inset, ry - inset, 0, from * Math.PI, to * Math.PI);
    context.stroke();
  }
}
