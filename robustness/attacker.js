'use strict';

// One attacker, in a process of its own: the example `attacker` of the crate.

const { execFileSync, spawn } = require('node:child_process');
const { once } = require('node:events');
const path = require('node:path');
const readline = require('node:readline');

const ROOT = path.resolve(__dirname, '..');

/** Builds it. Unoptimised it is as fast: what costs are system calls and cryptography. */
function buildAttacker() {
  execFileSync('cargo', ['build', '--quiet', '--example', 'attacker'], {
    cwd: ROOT,
    stdio: ['ignore', 'inherit', 'inherit'],
  });
}

class Attacker {
  #child;
  #exited;
  #lines;

  /** @param {string} kind */
  constructor(kind) {
    this.#child = spawn(path.join(ROOT, 'target/debug/examples/attacker'), [kind], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    // It may end before it is told to, with its session.
    this.#exited = once(this.#child, 'exit');
    this.#child.stdin.on('error', () => {});
    this.#lines = readline.createInterface(this.#child.stdout)[Symbol.asyncIterator]();
  }

  /** The process. */
  get pid() {
    return this.#child.pid ?? 0;
  }

  /** The fingerprint of its certificate. */
  async fingerprint() {
    return (await this.#told()).fingerprint;
  }

  /**
   * Resolves when the attacker has connected, if it does.
   *
   * @param {object} target - see main.rs
   */
  async aim(target) {
    this.#tell(JSON.stringify(target));
    await this.#told();
  }

  begin() {
    this.#tell('begin');
  }

  /**
   * Ends the attack.
   *
   * @returns {Promise<{ sent: number, seconds: number, ended: boolean }>}
   */
  async end() {
    this.#tell('end');

    const outcome = await this.#told();

    await this.#exited;
    return outcome;
  }

  /** @param {string} line */
  #tell(line) {
    this.#child.stdin.write(`${line}\n`);
  }

  async #told() {
    const { value, done } = await this.#lines.next();

    if (done) {
      throw new Error('the attacker has ended');
    }
    return JSON.parse(value);
  }
}

module.exports = { Attacker, buildAttacker };
