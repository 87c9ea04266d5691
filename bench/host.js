'use strict';

// A process that does what it is asked: `{ id, method, args }` goes in, `{ id, result | error }` comes out.

const { fork, spawn } = require('node:child_process');
const { once } = require('node:events');
const path = require('node:path');
const readline = require('node:readline');

const { cpuOfProcess } = require('./harness');

/** What a process must have answered by then: 10,000 handshakes take a while. */
const ANSWER_MS = 300_000;

/**
 * @typedef {object} Ways - how a process is asked, and how it learns that there is nothing more to do.
 * @property {(question: any, done: (error?: Error | null) => void) => unknown} ask
 * @property {() => unknown} end
 */

class Host {
  /** @type {Map<number, { resolve: (result: any) => void, reject: (error: Error) => void }>} */
  #pending = new Map();
  #lastId = 0;
  #child;
  #ways;

  /**
   * A file of this folder that calls `serve()`.
   *
   * @param {string} file
   */
  static ofNode(file) {
    const child = fork(path.join(__dirname, file), { serialization: 'advanced', execArgv: [] });
    const host = new Host(child, {
      ask: (question, done) => child.send(question, done),
      end: () => child.disconnect(),
    });

    child.on('message', (answer) => host.#take(answer));
    return host;
  }

  /**
   * Any program: lines of JSON go through its standard input and output, with the first argument as `args`.
   *
   * @param {string} program
   * @param {string[]} args
   */
  static ofProgram(program, args) {
    const child = spawn(program, args, { stdio: ['pipe', 'pipe', 'inherit'] });
    const host = new Host(child, {
      ask: ({ id, method, args: [only] }, done) =>
        child.stdin.write(`${JSON.stringify({ id, method, args: only })}\n`, done),
      end: () => child.stdin.end(),
    });

    // Whoever has asked is told.
    child.stdin.on('error', () => {});
    readline
      .createInterface({ input: child.stdout })
      .on('line', (line) => host.#take(JSON.parse(line)));
    return host;
  }

  /**
   * @param {import('node:child_process').ChildProcess} child
   * @param {Ways} ways
   */
  constructor(child, ways) {
    this.#child = child;
    this.#ways = ways;
    child.on('exit', () => {
      for (const { reject } of this.#pending.values()) {
        reject(new Error(`${child.spawnargs.join(' ')} has ended`));
      }
    });
  }

  /**
   * @param {string} method
   * @param {...any} args
   * @returns {Promise<any>}
   */
  call(method, ...args) {
    const id = ++this.#lastId;

    return new Promise((resolve, reject) => {
      const timer = setTimeout(
        () => reject(new Error(`no answer to ${method}() in ${ANSWER_MS} ms`)),
        ANSWER_MS,
      );
      const settle = (/** @type {(value: any) => void} */ how) => (/** @type {any} */ value) => {
        clearTimeout(timer);
        how(value);
      };

      this.#pending.set(id, { resolve: settle(resolve), reject: settle(reject) });
      this.#ways.ask({ id, method, args }, (error) => {
        if (error) {
          settle(reject)(error);
        }
      });
    });
  }

  get pid() {
    return this.#child.pid ?? 0;
  }

  /** The CPU time of the process so far, in µs. */
  get cpuMicros() {
    return cpuOfProcess(this.pid);
  }

  async end() {
    const ended = once(this.#child, 'exit');

    this.#ways.end();
    await ended;
  }

  /** Ends the process without a word. */
  async kill() {
    const ended = once(this.#child, 'exit');

    this.#child.kill('SIGKILL');
    await ended;
  }

  /** @param {any} answer */
  #take({ id, result, error }) {
    const pending = this.#pending.get(id);

    this.#pending.delete(id);
    if (error === undefined) {
      pending?.resolve(result);
    } else {
      pending?.reject(new Error(error));
    }
  }
}

/** What answers a method named `name` of `methods`: the other side of `Host.ofNode()`. */
function serve(/** @type {Record<string, (...args: any[]) => unknown>} */ methods) {
  process.on('message', async (/** @type {any} */ { id, method, args }) => {
    // Nobody may be there any more to be told.
    const tell = (/** @type {object} */ told) => process.send?.({ id, ...told }, () => {});

    try {
      tell({ result: await methods[method](...args) });
    } catch (error) {
      tell({ error: error instanceof Error ? error.stack : String(error) });
    }
  });
  process.on('disconnect', () => process.exit());
}

exports.Host = Host;
exports.serve = serve;
