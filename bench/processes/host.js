'use strict';

// A child process that serves method calls: `{ id, method, args }` goes in, `{ id, result | error }` comes out.

const { fork, spawn } = require('node:child_process');
const { once } = require('node:events');
const readline = require('node:readline');

const { cpuOfProcess } = require('../measure');

/** The longest that a call may take, in ms. It is so long because 10,000 handshakes take a while. */
const ANSWER_MS = 300_000;

/**
 * @typedef {object} Connection - to the process.
 * @property {(call: any, done: (error?: Error | null) => void) => unknown} send
 * @property {() => unknown} end - lets the process exit.
 */

class Host {
  /** @type {Map<number, { resolve: (result: any) => void, reject: (error: Error) => void }>} */
  #pending = new Map();
  #lastId = 0;
  #child;
  #connection;

  /**
   * Runs a Node.js program that calls `serve()`.
   *
   * @param {string} file
   * @param {string[]} [inside] - a command that runs the one which follows it, in a network namespace say.
   */
  static ofNode(file, inside = []) {
    const [execPath, ...execArgv] = [...inside, process.execPath];
    const child = fork(file, { serialization: 'advanced', execPath, execArgv });
    const host = new Host(child, {
      send: (call, done) => child.send(call, done),
      end: () => child.disconnect(),
    });

    child.on('message', (answer) => host.#take(answer));
    return host;
  }

  /**
   * Runs any program that reads lines of JSON from stdin and writes lines of JSON to stdout. A call has one argument.
   *
   * @param {string} program
   * @param {string[]} args
   */
  static ofProgram(program, args) {
    const child = spawn(program, args, { stdio: ['pipe', 'pipe', 'inherit'] });
    const host = new Host(child, {
      send: ({ id, method, args: [argument] }, done) =>
        child.stdin.write(`${JSON.stringify({ id, method, args: argument })}\n`, done),
      end: () => child.stdin.end(),
    });

    // Ignores the event, because write() reports errors to its callback as well.
    child.stdin.on('error', () => {});
    readline
      .createInterface({ input: child.stdout })
      .on('line', (line) => host.#take(JSON.parse(line)));
    return host;
  }

  /**
   * @param {import('node:child_process').ChildProcess} child
   * @param {Connection} connection
   */
  constructor(child, connection) {
    this.#child = child;
    this.#connection = connection;
    child.on('exit', () => {
      for (const { reject } of this.#pending.values()) {
        reject(new Error(`process exited: ${child.spawnargs.join(' ')}`));
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
      this.#connection.send({ id, method, args }, (error) => {
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

  /** @param {NodeJS.Signals} name */
  signal(name) {
    this.#child.kill(name);
  }

  async end() {
    const ended = once(this.#child, 'exit');

    this.#connection.end();
    await ended;
  }

  /** Kills the process, so that its connections are not closed. */
  async kill() {
    const { exitCode, signalCode } = this.#child;

    if (exitCode === null && signalCode === null) {
      const ended = once(this.#child, 'exit');

      this.#child.kill('SIGKILL');
      await ended;
    }
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

/**
 * The other side of `Host.ofNode()`: calls these methods and sends back what they return.
 *
 * @param {Record<string, (...args: any[]) => unknown>} methods
 */
function serve(methods) {
  process.on('message', async (/** @type {any} */ { id, method, args }) => {
    // The parent may have exited: ignore the error.
    const answer = (/** @type {object} */ outcome) => process.send?.({ id, ...outcome }, () => {});

    try {
      answer({ result: await methods[method](...args) });
    } catch (error) {
      answer({ error: error instanceof Error ? error.stack : String(error) });
    }
  });
  process.on('disconnect', () => process.exit());
}

exports.Host = Host;
exports.serve = serve;
