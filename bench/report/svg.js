'use strict';

// Two kinds of charts, as SVG without a background: greys and colours are legible on white and on black.

const GREY = '#7d8590';
const COLOURS = ['#3b82c4', '#d9752b', '#2f9e6e'];
const FONT = "font-family='system-ui, sans-serif' font-size='12'";

const WIDTH = 720;
const TITLE = 48;

/**
 * A line chart: values over categories.
 *
 * @param {object} chart
 * @param {string} chart.title
 * @param {string} chart.unit - of the values.
 * @param {string} chart.categories - the title of the axis.
 * @param {string[]} chart.labels - of the categories.
 * @param {{ name: string, values: (number | undefined)[] }[]} chart.series - at most three, so that labels fit.
 * @returns {string}
 */
function lines({ title, unit, categories, labels, series }) {
  const [left, right, top, bottom, height] = [64, 24, TITLE + 28, 52, 380];
  const values = series.flatMap((each) => each.values).filter((value) => value !== undefined);
  const scale = decades(values);
  const x = (/** @type {number} */ index) =>
    left + ((index + 0.5) * (WIDTH - left - right)) / labels.length;
  const y = (/** @type {number} */ value) =>
    height - bottom - scale.at(value) * (height - top - bottom);

  const grid = scale.ticks.flatMap((tick) => [
    rule(left, y(tick), WIDTH - right, y(tick)),
    text(left - 8, y(tick) + 4, shown(tick), { anchor: 'end' }),
  ]);
  const axis = labels.map((label, index) =>
    text(x(index), height - bottom + 20, label, { anchor: 'middle' }),
  );
  const legend = series.flatMap(({ name }, index) => [
    `<circle cx='${left + 6 + index * 210}' cy='${TITLE + 6}' r='4' fill='${COLOURS[index]}'/>`,
    text(left + 16 + index * 210, TITLE + 10, name),
  ]);
  // The labels of the lowest values go below them, to keep clear of the next series.
  const lowest = labels.map((_, at) =>
    Math.min(...series.map((each) => each.values[at] ?? Infinity)),
  );
  const drawn = series.flatMap((each, index) =>
    line({
      points: each.values.flatMap((value, at) =>
        value === undefined ? [] : [{ x: x(at), y: y(value), value, lowest: value === lowest[at] }],
      ),
      colour: COLOURS[index],
    }),
  );

  return svg(height, title, [
    text(left, 40, unit),
    ...legend,
    ...grid,
    ...axis,
    text((left + WIDTH - right) / 2, height - 10, categories, { anchor: 'middle' }),
    ...drawn,
  ]);
}

/**
 * @param {object} options
 * @param {{ x: number, y: number, value: number, lowest: boolean }[]} options.points
 * @param {string} options.colour
 */
function line({ points, colour }) {
  const path = points.map((point) => `${round(point.x)},${round(point.y)}`).join(' ');

  return [
    `<polyline points='${path}' fill='none' stroke='${colour}' stroke-width='2'/>`,
    ...points.flatMap(({ x, y, value, lowest }) => [
      `<circle cx='${round(x)}' cy='${round(y)}' r='3.5' fill='${colour}'/>`,
      text(x, y + (lowest ? 18 : -9), shown(value), { anchor: 'middle', fill: colour }),
    ]),
  ];
}

/**
 * A bar chart: each bar extends from 1 to its value.
 *
 * @param {object} chart
 * @param {string} chart.title
 * @param {string} chart.unit
 * @param {{ label: string, value: number }[]} chart.bars
 * @returns {string}
 */
function bars({ title, unit, bars: all }) {
  const [left, right, top, pitch] = [190, 56, TITLE + 8, 22];
  const height = top + all.length * pitch + 36;
  const scale = decades([...all.map(({ value }) => value), 1]);
  const x = (/** @type {number} */ value) => left + scale.at(value) * (WIDTH - left - right);

  const grid = scale.ticks.flatMap((tick) => [
    rule(x(tick), top - 4, x(tick), height - 32),
    text(x(tick), height - 14, shown(tick), { anchor: 'middle' }),
  ]);
  const drawn = all.flatMap(({ label, value }, index) => {
    const y = top + index * pitch;
    const [from, to] = [x(Math.min(1, value)), x(Math.max(1, value))];
    const colour = value <= 1 ? COLOURS[2] : COLOURS[1];

    return [
      text(left - 12, y + 13, label, { anchor: 'end' }),
      `<rect x='${round(from)}' y='${y + 2}' width='${round(Math.max(1, to - from))}' height='${pitch - 7}' fill='${colour}'/>`,
      text(to + 6, y + 13, shown(value)),
    ];
  });

  return svg(height, title, [text(16, 40, unit), ...grid, ...drawn]);
}

/**
 * A logarithmic scale of whole decades around the values.
 *
 * @param {number[]} values
 */
function decades(values) {
  const positive = values.filter((value) => value > 0);
  const low = Math.floor(Math.log10(Math.min(...positive)));
  const high = Math.max(low + 1, Math.ceil(Math.log10(Math.max(...positive))));

  return {
    ticks: Array.from({ length: high - low + 1 }, (_, index) => 10 ** (low + index)),
    /** @param {number} value - returns 0 to 1. */
    at: (value) => (Math.log10(Math.max(value, 10 ** low)) - low) / (high - low),
  };
}

/**
 * @param {number} height
 * @param {string} title
 * @param {string[]} content
 */
function svg(height, title, content) {
  return [
    `<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 ${WIDTH} ${height}' width='${WIDTH}' height='${height}' ${FONT} fill='${GREY}'>`,
    `<title>${escape(title)}</title>`,
    `<text x='16' y='20' font-size='15' font-weight='600'>${escape(title)}</text>`,
    ...content,
    '</svg>',
    '',
  ].join('\n');
}

/**
 * @param {number} x
 * @param {number} y
 * @param {string} content
 * @param {{ anchor?: string, fill?: string }} [options]
 */
function text(x, y, content, { anchor = 'start', fill = GREY } = {}) {
  return `<text x='${round(x)}' y='${round(y)}' text-anchor='${anchor}' fill='${fill}'>${escape(content)}</text>`;
}

/**
 * @param {number} x1
 * @param {number} y1
 * @param {number} x2
 * @param {number} y2
 */
function rule(x1, y1, x2, y2) {
  return `<line x1='${round(x1)}' y1='${round(y1)}' x2='${round(x2)}' y2='${round(y2)}' stroke='${GREY}' stroke-opacity='0.35'/>`;
}

/** @param {number} value */
function shown(value) {
  return value >= 100
    ? Math.round(value).toLocaleString('en')
    : Number(value.toPrecision(2)).toString();
}

/** @param {number} value */
function round(value) {
  return Math.round(value * 10) / 10;
}

/** @param {string} content */
function escape(content) {
  return content.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}

exports.bars = bars;
exports.lines = lines;
