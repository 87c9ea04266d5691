'use strict';

// The attacker (robustness/attacker/, in Rust), in a process of its own.

const { spawn } = require('node:child_process');
const { once } = require('node:events');
const readline = require('node:readline');

const { buildProgram } = require('../../bench/processes/cargo');

/** @type {string} */
let program;

/**
 * Builds the attacker without optimisation, which would not make the attacker faster: system calls and cryptography
 * take its time.
 */
function buildAttacker() {
  program ??= buildProgram('example', 'attacker', 'dev');
}

class Attacker {
  #child;
  #exited;
  #lines;

  /** @param {string} kind */
  constructor(kind) {
    buildAttacker();
    this.#child = spawn(program, [kind], { stdio: ['pipe', 'pipe', 'inherit'] });
    // The attacker may exit before end(), when the target ends its session.
    this.#exited = once(this.#child, 'exit');
    this.#child.stdin.on('error', () => {});
    this.#lines = readline.createInterface(this.#child.stdout)[Symbol.asyncIterator]();
  }

  get pid() {
    return this.#child.pid ?? 0;
  }

  /** The fingerprint of its certificate. */
  async fingerprint() {
    return (await this.#read()).fingerprint;
  }

  /**
   * Resolves when the attacker is ready, and connected if its kind needs a session.
   *
   * @param {object} target - `Target` of attacker/attack.rs
   */
  async aim(target) {
    this.#write(JSON.stringify(target));
    await this.#read();
  }

  begin() {
    this.#write('begin');
  }

  /**
   * Stops the attack.
   *
   * @returns {Promise<{ sent: number, seconds: number, ended: boolean }>}
   */
  async end() {
    this.#write('end');

    const outcome = await this.#read();

    await this.#exited;
    return outcome;
  }

  /** @param {string} line */
  #write(line) {
    this.#child.stdin.write(`${line}\n`);
  }

  async #read() {
    const { value, done } = await this.#lines.next();

    if (done) {
      throw new Error('the attacker exited before it answered');
    }
    return JSON.parse(value);
  }
}

exports.Attacker = Attacker;
exports.buildAttacker = buildAttacker;
