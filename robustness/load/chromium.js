/// <reference lib="dom" />

'use strict';

// WebRTC clients in a page of Chromium, with the methods of `DatachannelClients` (bench/clients/datachannel.js).

const { answerOf, dtlsParametersOf } = require('../../examples/sdp');
const { launchChromium } = require('../../__test__/helpers/chromium');
const { inPage } = require('./chromiumPage');

/** How often the page's clock is compared with ours; the fastest answer is used. */
const CLOCK_READINGS = 30;

class ChromiumClients {
  #count;
  /** @type {import('playwright-core').Browser | undefined} */
  #browser;
  /** @type {import('playwright-core').Page | undefined} */
  #page;
  /** The offset from the page's times to the system's monotonic clock, in milliseconds. */
  #ahead = 0;

  /** @param {{ count: number }} options */
  constructor({ count }) {
    this.#count = count;
  }

  /**
   * @param {number[]} streamIds
   * @returns {Promise<any[]>}
   */
  async dtlsParameters(streamIds) {
    this.#browser = await launchChromium();
    this.#page = await this.#browser.newPage();
    await this.#page.evaluate(inPage);
    this.#ahead = await this.#compareClocks();

    const offers = await this.#call('offer', streamIds.slice(0, this.#count));

    return offers.map((/** @type {string} */ offer) => dtlsParametersOf(offer));
  }

  /** @param {any[]} transports */
  async connectTo(transports) {
    await this.#call(
      'connect',
      transports.map((transport) => answerOf(transport)),
    );
  }

  async ready() {
    await this.#call('ready');
  }

  /** @returns {Promise<number[]>} how many messages each client has received since `ready()`. */
  counts() {
    return this.#call('counts');
  }

  /**
   * @param {number} count
   * @returns {Promise<import('../../bench/types').Outcome>}
   */
  async received(count) {
    const outcome = await this.#call('received', count);

    return { ...outcome, latencies: () => this.#latencies() };
  }

  /** @param {{ count: number, size: number }} load */
  async send(load) {
    await this.#call('send', load);
  }

  async close() {
    await this.#browser?.close();
  }

  /** In µs. */
  async #latencies() {
    const millis = await this.#call('latencies');

    return millis.map((/** @type {number} */ each) => (each + this.#ahead) * 1_000);
  }

  async #compareClocks() {
    let best = { took: Infinity, ahead: 0 };

    for (let reading = 0; reading < CLOCK_READINGS; reading++) {
      const before = monotonic();
      const theirs = await this.#call('now');
      const took = monotonic() - before;

      if (took < best.took) {
        best = { took, ahead: before + took / 2 - theirs };
      }
    }
    return best.ahead;
  }

  /**
   * @param {string} method
   * @param {...any} args
   * @returns {Promise<any>}
   */
  async #call(method, ...args) {
    return this.#page?.evaluate(
      ([name, given]) => /** @type {any} */ (globalThis).clients[name](...given),
      /** @type {const} */ ([method, args]),
    );
  }
}

/** The system's monotonic clock, in milliseconds. */
function monotonic() {
  return Number(process.hrtime.bigint()) / 1e6;
}

exports.ChromiumClients = ChromiumClients;
