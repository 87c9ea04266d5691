'use strict';

// What a process holds, over time: whether it grows.

const fs = require('node:fs');
const v8 = require('node:v8');
const vm = require('node:vm');

v8.setFlagsFromString('--expose-gc');

const gc = vm.runInNewContext('gc');

/**
 * @typedef {object} Sample
 * @property {number} seconds - since the first one.
 * @property {number} rss - MiB
 * @property {number} heap - MiB of JavaScript's, after a garbage collection.
 * @property {number} fds - open file descriptors: sockets, epoll, timers …
 * @property {number} threads
 * @property {number} handles - what keeps the event loop alive.
 */

/** Samples of this process, and what they say. */
class Census {
  /** @type {(Sample & Record<string, number>)[]} */
  samples = [];
  #began = performance.now();

  /** @param {Record<string, number>} [more] - columns of the program's own. */
  async take(more = {}) {
    await collect();

    const { rss, heapUsed } = process.memoryUsage();
    const sample = {
      seconds: (performance.now() - this.#began) / 1_000,
      rss: rss / 2 ** 20,
      heap: heapUsed / 2 ** 20,
      fds: fs.readdirSync('/proc/self/fd').length - 1, // that of the folder itself
      threads: fs.readdirSync('/proc/self/task').length,
      handles: process.getActiveResourcesInfo().length,
      ...more,
    };

    this.samples.push(sample);
    return sample;
  }

  /**
   * The samples as a Markdown table, at most about `rows` of them.
   *
   * @param {number} [rows]
   */
  table(rows = 40) {
    const step = Math.max(1, Math.ceil(this.samples.length / rows));
    const last = this.samples.length - 1;
    const shown = this.samples.filter((_sample, index) => index % step === 0 || index === last);

    return shown.map(row).join('\n');
  }

  /** The head of the table. */
  get head() {
    const names = Object.keys(this.samples[0] ?? {});

    return `${line(names)}\n${line(names.map(() => '--:'))}`;
  }

  /**
   * How much `name` grows per hour: the slope of the straight line through the samples after the first fifth, in
   * which caches fill.
   *
   * @param {string} name
   */
  slopePerHour(name) {
    const settled = this.settled;
    const n = settled.length;
    const x = settled.map(({ seconds }) => seconds / 3_600);
    const y = settled.map((sample) => sample[name]);
    const mean = (/** @type {number[]} */ values) => values.reduce((sum, it) => sum + it, 0) / n;
    const [mx, my] = [mean(x), mean(y)];
    const over = mean(x.map((it, index) => (it - mx) * (y[index] - my)));
    const under = mean(x.map((it) => (it - mx) ** 2));

    return under === 0 ? 0 : over / under;
  }

  /**
   * How much more of `name` the last third of the settled samples has than the first third of them, by their medians.
   *
   * @param {string} name
   */
  growth(name) {
    const values = this.settled.map((sample) => sample[name]);
    const third = Math.max(1, Math.floor(values.length / 3));

    return median(values.slice(-third)) - median(values.slice(0, third));
  }

  get settled() {
    return this.samples.slice(Math.floor(this.samples.length / 5));
  }
}

/** Finalizers of native objects run in macrotasks after the collection that has found them. */
async function collect() {
  for (let round = 0; round < 3; round++) {
    gc();
    await new Promise((resolve) => setImmediate(resolve));
  }
}

/** @param {Record<string, number>} sample */
function row(sample) {
  return line(
    Object.entries(sample).map(([name, value]) =>
      value.toFixed(['rss', 'heap'].includes(name) ? 1 : 0),
    ),
  );
}

/** @param {string[]} cells */
function line(cells) {
  return `| ${cells.map((cell) => cell.padStart(8)).join(' | ')} |`;
}

/** @param {number[]} values */
function median(values) {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)];
}

module.exports = { Census, row };
