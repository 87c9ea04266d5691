'use strict';

// Samples of the resources that a process holds, to see whether their number grows.

const fs = require('node:fs');
const v8 = require('node:v8');
const vm = require('node:vm');

const { median } = require('../bench/statistics');

v8.setFlagsFromString('--expose-gc');

const gc = vm.runInNewContext('gc');

/**
 * @typedef {object} Sample
 * @property {number} seconds - since the start of the census.
 * @property {number} rss - MiB
 * @property {number} heap - MiB of JavaScript's heap, after a garbage collection.
 * @property {number} fds - open file descriptors: sockets, epoll, timers …
 * @property {number} threads
 * @property {number} handles - resources that keep the event loop alive.
 */

/** Samples of this process. */
class Census {
  /** @type {(Sample & Record<string, number>)[]} */
  samples = [];
  #began = performance.now();

  /** @param {Record<string, number>} [more] - columns of the program. */
  async take(more = {}) {
    await collect();

    const { rss, heapUsed } = process.memoryUsage();
    const sample = {
      seconds: (performance.now() - this.#began) / 1_000,
      rss: rss / 2 ** 20,
      heap: heapUsed / 2 ** 20,
      fds: fs.readdirSync('/proc/self/fd').length - 1, // without the descriptor that reads this folder
      threads: fs.readdirSync('/proc/self/task').length,
      handles: process.getActiveResourcesInfo().length,
      ...more,
    };

    this.samples.push(sample);
    return sample;
  }

  /**
   * About `rows` samples as a Markdown table.
   *
   * @param {number} [rows]
   */
  table(rows = 40) {
    const step = Math.max(1, Math.ceil(this.samples.length / rows));
    const last = this.samples.length - 1;
    const shown = this.samples.filter((_sample, index) => index % step === 0 || index === last);

    return shown.map(row).join('\n');
  }

  /** The head of the table that `table()` makes. */
  get head() {
    const names = Object.keys(this.samples[0] ?? {});

    return `${line(names)}\n${line(names.map(() => '--:'))}`;
  }

  /**
   * Growth of `name` per hour: the slope of the regression line through the settled samples.
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
   * The median of `name` in the last third of the settled samples, minus that in the first third.
   *
   * @param {string} name
   */
  growth(name) {
    const values = this.settled.map((sample) => sample[name]);
    const third = Math.max(1, Math.floor(values.length / 3));

    return median(values.slice(-third)) - median(values.slice(0, third));
  }

  /** The samples without the first fifth, in which caches fill. */
  get settled() {
    return this.samples.slice(Math.floor(this.samples.length / 5));
  }
}

/** Collects garbage several times, because finalizers of native objects run in macrotasks after a collection. */
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

module.exports = { Census, row };
