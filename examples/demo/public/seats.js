// Where people sit around the bowl, and which names there is room for. Lengths are CSS pixels.

const LARGEST_SEAT = 17;
const SMALLEST_SEAT = 8;
/** Between two seats, and between a seat and its name. */
const GAP = 4;
/** Points on half of the ellipse whose distances give its length. */
const STEPS = 180;

/**
 * Seats people on the rim, at equal distances along it: this user at the bottom, the bot at the top, the others
 * alternately on the right and on the left.
 *
 * @returns {{ places: Map<string, { x: number, y: number }>, radius: number }}
 */
export function seatAround({ x, y, rx, ry }, people) {
  const places = new Map();
  const along = halfOf({ rx, ry });
  const others = people.filter(({ role }) => role === 'peer');
  const sides = [others.filter((_, i) => i % 2 === 0), others.filter((_, i) => i % 2 === 1)];

  for (const { id, role } of people) {
    if (role === 'you') places.set(id, { x, y: y + ry });
    if (role === 'bot') places.set(id, { x, y: y - ry });
  }
  sides.forEach((side, left) => {
    side.forEach(({ id }, index) => {
      const point = along((index + 1) / (side.length + 1));
      places.set(id, { x: x + (left ? -point.x : point.x), y: y + point.y });
    });
  });

  const room = (closest([...places.values()]) - GAP) / 2;

  return { places, radius: Math.max(SMALLEST_SEAT, Math.min(LARGEST_SEAT, room)) };
}

/**
 * The place of each name, as the top left corner of its box. A name is above or below its seat, or beside it; it has no
 * place if it would cover another name, a seat or one of the boxes `taken`, or leave the stage.
 *
 * @param {{ id: string, x: number, y: number, width: number, height: number }[]} labels Seat and size of each name;
 * the first ones get a place first.
 * @returns {Map<string, { x: number, y: number } | undefined>}
 */
export function placeLabels(labels, { radius, centre, taken, stage }) {
  const boxes = [...taken, ...labels.map(({ x, y }) => boxAround(x, y, 2 * radius, 2 * radius))];
  const places = new Map();

  for (const { id, x, y, width, height } of labels) {
    const away = radius + GAP;
    const vertical = { x: clamp(x - width / 2, GAP, stage.width - width - GAP), width, height };
    const above = { ...vertical, y: y - away - height };
    const below = { ...vertical, y: y + away };
    const beside = {
      x: x > centre.x ? x + away : x - away - width,
      y: y - height / 2,
      width,
      height,
    };
    const wanted = y < centre.y ? [above, beside, below] : [below, beside, above];
    const place = wanted.find((box) => fits(box, stage) && !boxes.some((it) => meet(box, it)));
    if (place) boxes.push(place);
    places.set(id, place);
  }

  return places;
}

/** Returns a function that maps 0 to 1 to the points of the right half of an ellipse, from bottom to top. */
function halfOf({ rx, ry }) {
  const points = Array.from({ length: STEPS + 1 }, (_, step) => {
    const angle = Math.PI / 2 - (Math.PI * step) / STEPS;
    return { x: rx * Math.cos(angle), y: ry * Math.sin(angle) };
  });
  let length = 0;
  const lengths = points.map(
    (point, step) => (length += step ? distance(point, points[step - 1]) : 0),
  );

  return (part) => points[lengths.findIndex((at) => at >= part * length)];
}

function closest(points) {
  let least = Infinity;
  points.forEach((point, index) => {
    for (const other of points.slice(index + 1)) least = Math.min(least, distance(point, other));
  });

  return least;
}

function distance(a, b) {
  return Math.hypot(a.x - b.x, a.y - b.y);
}

export function boxAround(x, y, width, height) {
  return { x: x - width / 2, y: y - height / 2, width, height };
}

function meet(a, b) {
  return a.x < b.x + b.width && b.x < a.x + a.width && a.y < b.y + b.height && b.y < a.y + a.height;
}

function fits({ x, y, width, height }, stage) {
  return x >= 0 && y >= 0 && x + width <= stage.width && y + height <= stage.height;
}

function clamp(value, least, most) {
  return Math.max(least, Math.min(most, value));
}
