'use strict';

// Network namespaces on one bridge, with rules that drop packets between them. They need root, or a system that allows
// namespaces of users. Each lives as long as the process that holds it, which ends with this one.

const { execFileSync, spawn, spawnSync } = require('node:child_process');
const { once } = require('node:events');

/** Debian has `ip` and `nft` in a folder that not every PATH has. */
const env = { ...process.env, PATH: `${process.env.PATH}:/usr/sbin:/sbin` };

const HOLD = ['sh', '-c', 'echo held; exec cat'];
const AS_ROOT = process.getuid?.() === 0;

/** Why a machine cannot have namespaces, or undefined if it can. */
function whyNot() {
  const { error, status, stderr } = spawnSync(
    'unshare',
    [...(AS_ROOT ? [] : ['--user', '--map-root-user']), '--net', 'nft', 'list', 'ruleset'],
    { env, encoding: 'utf8' },
  );

  return status === 0 ? undefined : `no network namespaces: ${error?.message ?? stderr.trim()}`;
}

/**
 * Which packets are dropped.
 *
 * @typedef {object} Cut
 * @property {string} from - the name of a namespace.
 * @property {string} to
 * @property {'udp' | 'tcp'} [protocol] - without, all of IP.
 * @property {number} [percent] - without, all packets.
 */

class Net {
  /** By name; the bridge is in that without a name. @type {Map<string, import('node:child_process').ChildProcess>} */
  #holders = new Map();
  /** @type {Map<string, string>} */
  #addresses = new Map();
  /** @type {Set<Cut>} */
  #cuts = new Set();

  /** @param {string[]} names - at most 15 characters each. */
  static async create(names) {
    const net = new Net();

    try {
      await net.#hold('', AS_ROOT ? ['unshare'] : ['unshare', '--user', '--map-root-user']);
      net.#run('', 'ip', 'link', 'add', 'bridge', 'type', 'bridge');
      net.#run('', 'ip', 'link', 'set', 'bridge', 'up');
      for (const name of names) {
        await net.#attach(name);
      }
      net.#applyCuts();
      return net;
    } catch (error) {
      await net.close();
      throw error;
    }
  }

  /** @param {string} name */
  address(name) {
    return /** @type {string} */ (this.#addresses.get(name));
  }

  /**
   * The command before that of a process which is to run in a namespace; '' is that of the bridge.
   *
   * @param {string} name
   */
  inside(name) {
    const pid = `${this.#holders.get(name)?.pid}`;
    const user = AS_ROOT ? [] : ['--user', '--preserve-credentials'];

    return ['nsenter', '--target', pid, ...user, '--net', '--'];
  }

  /**
   * Drops packets until that is called back.
   *
   * @param {...Cut} cuts
   */
  cut(...cuts) {
    cuts.forEach((cut) => this.#cuts.add(cut));
    this.#applyCuts();
    return () => {
      cuts.forEach((cut) => this.#cuts.delete(cut));
      this.#applyCuts();
    };
  }

  async close() {
    const ended = [...this.#holders.values()].map(async (holder) => {
      const exit = once(holder, 'exit');

      holder.kill('SIGKILL');
      await exit;
    });

    this.#holders.clear();
    await Promise.all(ended);
  }

  /** @param {string} name */
  async #attach(name) {
    const address = `10.77.0.${this.#holders.size}`;

    await this.#hold(name, [...this.inside(''), 'unshare']);
    this.#addresses.set(name, address);

    const pid = `${this.#holders.get(name)?.pid}`;
    const far = ['peer', 'name', 'eth0', 'netns', pid];

    this.#run('', 'ip', 'link', 'add', 'name', name, 'type', 'veth', ...far);
    this.#run('', 'ip', 'link', 'set', 'dev', name, 'master', 'bridge', 'up');
    this.#run(name, 'ip', 'address', 'add', `${address}/24`, 'dev', 'eth0');
    this.#run(name, 'ip', 'link', 'set', 'eth0', 'up');
    this.#run(name, 'ip', 'link', 'set', 'lo', 'up');
  }

  /**
   * @param {string} name
   * @param {string[]} unshare
   */
  async #hold(name, unshare) {
    const [command, ...args] = [...unshare, '--net', '--', ...HOLD];
    const holder = spawn(command, args, { env, stdio: ['pipe', 'pipe', 'inherit'] });

    this.#holders.set(name, holder);
    await Promise.race([
      once(/** @type {import('node:stream').Readable} */ (holder.stdout), 'data'),
      once(holder, 'error').then(([error]) => Promise.reject(error)),
      once(holder, 'exit').then(() => Promise.reject(new Error(`${command} has ended`))),
    ]);
  }

  /**
   * @param {string} name
   * @param {...string} command
   */
  #run(name, ...command) {
    this.#pipe(name, command, '');
  }

  /**
   * @param {string} name
   * @param {string[]} command
   * @param {string} input
   */
  #pipe(name, command, input) {
    const [first, ...args] = [...this.inside(name), ...command];

    execFileSync(first, args, { env, input, stdio: ['pipe', 'ignore', 'inherit'] });
  }

  /** Replaces all rules at once. */
  #applyCuts() {
    const rules = [...this.#cuts].map(({ from, to, protocol, percent }) =>
      [
        `ip saddr ${this.address(from)} ip daddr ${this.address(to)}`,
        protocol ? `ip protocol ${protocol}` : '',
        percent ? `numgen random mod 100 < ${percent}` : '',
        'drop',
      ].join(' '),
    );

    this.#pipe(
      '',
      ['nft', '--file', '-'],
      `table bridge cuts
       delete table bridge cuts
       table bridge cuts {
         chain forward {
           type filter hook forward priority 0
           ${rules.join('\n')}
         }
       }`,
    );
  }
}

exports.Net = Net;
exports.whyNot = whyNot;
