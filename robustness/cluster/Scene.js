'use strict';

// Hosts of a cluster in network namespaces, each with one DataProducer that all others consume, and the server of their
// bus. Faults are switched on and off from here.

const { setTimeout: sleep } = require('node:timers/promises');

const { BusServer } = require('../../__test__/helpers/cluster/servers');
const { Host } = require('../../bench/processes/host');
const { sum } = require('../../bench/statistics');
const { Net } = require('./Net');

const HOST = require.resolve('./hostProcess');
const PORTS = { nats: 4222, redis: 6379 };
/** The port on which servers of NATS reach each other. */
const ROUTE = 6222;
const SECRET = 'a secret that all processes know, as they should';
const ROOM = 'the room of the scene';
/** How long the hosts are left alone between two questions, in milliseconds. */
const POLL = 25;
/** How many questions may pass until 'missed' has reported every loss. */
const TRIES = 40;

const now = () => Number(process.hrtime.bigint()) / 1e6;

/**
 * What a host has seen: see hostProcess.js.
 *
 * @typedef {object} Seen
 * @property {{ at: number, event: string, args: any[] }[]} events
 * @property {Life[]} lives
 * @property {Map<string, number>} fresh
 * @property {Map<string, number>} highest
 * @property {string[]} remote
 */
/**
 * @typedef {import('./hostProcess').Life} Life
 * @typedef {Pick<import('./Net').Cut, 'protocol' | 'percent'>} Packets
 */

class Member {
  /** @type {Host | undefined} */
  process;
  /** The ids of its DataProducers. @type {string[]} */
  ids = [];
  /** Whether the other members should see its DataProducers. */
  alive = false;

  /** @param {string} name */
  constructor(name) {
    this.name = name;
  }

  /**
   * @param {string} method
   * @param {...any} args
   */
  async call(method, ...args) {
    return this.process?.call(method, ...args);
  }

  /** @returns {Promise<Seen>} */
  async seen() {
    return this.call('seen');
  }
}

class Scene {
  /** @type {Net} */
  #net;
  #options;
  /** @type {Map<string, BusServer>} */
  #servers = new Map();
  /** @type {Map<string, Member>} */
  #members = new Map();

  /**
   * @param {Net} net
   * @param {Options} options
   */
  constructor(net, options) {
    this.#net = net;
    this.#options = options;
  }

  /**
   * @typedef {object} Options
   * @property {'nats' | 'redis'} kind
   * @property {number} lease
   * @property {number} perSecond - messages of each host; 0: they announce nothing.
   * @property {Record<string, string>} hosts - the server of each.
   * @property {'auto' | 'pipe' | 'bus'} [carrier]
   * @property {string[]} [later] - hosts that are not started.
   */

  /** @param {Options} options */
  static async create(options) {
    const servers = [...new Set(Object.values(options.hosts))];
    const net = await Net.create([...servers, ...Object.keys(options.hosts)]);
    const scene = new Scene(net, options);

    try {
      await Promise.all(servers.map((name) => scene.#startServer(name, servers)));
      await Promise.all(
        Object.keys(options.hosts)
          .filter((name) => !options.later?.includes(name))
          .map((name) => scene.start(name)),
      );
      await scene.settled(30_000);
      return scene;
    } catch (error) {
      await scene.close();
      throw error;
    }
  }

  get lease() {
    return this.#options.lease;
  }

  get net() {
    return this.#net;
  }

  /** The names of the servers of the bus. */
  get servers() {
    return [...this.#servers.keys()];
  }

  /** @param {string} name */
  member(name) {
    return /** @type {Member} */ (this.#members.get(name));
  }

  get alive() {
    return [...this.#members.values()].filter(({ alive }) => alive);
  }

  /**
   * @param {string} name
   * @param {{ clock?: number }} [options] - `clock`: how wrong its wall clock is, in milliseconds.
   */
  async start(name, { clock = 0 } = {}) {
    const { kind, lease, perSecond, hosts, carrier } = this.#options;
    const member = new Member(name);
    const address = this.#net.address(hosts[name]);

    member.process = Host.ofNode(HOST, this.#net.inside(name));
    this.#members.set(name, member);
    await member.call('start', {
      kind,
      server: { address, port: PORTS[kind] },
      host: name,
      ip: this.#net.address(name),
      secret: SECRET,
      name: ROOM,
      lease,
      carrier,
      perSecond,
      clock,
    });
    if (perSecond > 0) {
      await this.announce(name);
    }
    member.alive = true;
    return member;
  }

  /**
   * @param {string} name
   * @param {{ label?: string, info?: any }} [options]
   * @returns {Promise<string>} the id of one more DataProducer of a host.
   */
  async announce(name, options) {
    const id = await this.member(name).call('announce', options);

    this.member(name).ids.push(id);
    return id;
  }

  /**
   * Closes the last DataProducer of a host.
   *
   * @param {string} name
   */
  async withdraw(name) {
    await this.member(name).call('withdraw', this.member(name).ids.pop());
  }

  /** @param {string} name */
  async kill(name) {
    const member = this.member(name);

    const { process } = member;

    member.alive = false;
    member.process = undefined;
    await process?.kill();
  }

  /** @param {string} name */
  async leave(name) {
    const member = this.member(name);

    member.alive = false;
    return member.call('leave');
  }

  /**
   * The Worker of a host's Cluster dies.
   *
   * @param {string} name
   */
  async panic(name) {
    const member = this.member(name);

    member.alive = false;
    await member.call('panic');
  }

  /**
   * @param {string} name
   * @param {boolean} frozen
   */
  freeze(name, frozen) {
    this.member(name).process?.signal(frozen ? 'SIGSTOP' : 'SIGCONT');
  }

  /** Kills all servers of the bus. They keep nothing on disk. */
  async killBus() {
    await Promise.all([...this.#servers.values()].map((server) => server.kill()));
  }

  async startBus() {
    await Promise.all([...this.#servers.values()].map((server) => server.start()));
  }

  /** @param {boolean} frozen */
  freezeBus(frozen) {
    this.#servers.forEach((server) => server.signal(frozen ? 'SIGSTOP' : 'SIGCONT'));
  }

  /**
   * All hosts and servers but one.
   *
   * @param {string} name
   */
  others(name) {
    return [...this.#members.keys(), ...this.servers].filter((other) => other !== name);
  }

  /**
   * Drops packets between some and others, in both directions, until that is called back.
   *
   * @param {string[]} some
   * @param {string[]} others
   * @param {Packets} [packets]
   */
  cut(some, others, packets = {}) {
    const ways = some.flatMap((from) => others.map((to) => ({ from, to, ...packets })));

    return this.#net.cut(...ways, ...ways.map((way) => ({ ...way, from: way.to, to: way.from })));
  }

  /**
   * @param {string} from
   * @param {string} to
   * @param {Packets} packets
   */
  cutOneWay(from, to, packets) {
    return this.#net.cut({ from, to, ...packets });
  }

  /**
   * Resolves once every host that is alive sees exactly the DataProducers of the others, and has got a message of each
   * that was sent after this call.
   *
   * @param {number} within - in milliseconds.
   * @returns {Promise<number>} the milliseconds until the last of them.
   */
  async settled(within) {
    const began = now();
    const members = this.alive;
    const ids = members.flatMap((member) => member.ids);
    const nameOf = (/** @type {string} */ id) =>
      members.find((member) => member.ids.includes(id))?.name ?? id;

    await Promise.all(members.map((member) => member.call('mark', began)));
    for (;;) {
      const all = await Promise.all(members.map((member) => member.seen()));
      const wrong = all.flatMap(({ remote, fresh }, index) => {
        const { name, ids: own } = members[index];
        const lacks = ids.filter((id) => !own.includes(id) && !fresh.has(id));
        const extra = remote.filter((id) => !ids.includes(id));

        return [
          ...lacks.map((id) => `${name} gets nothing of ${nameOf(id)}`),
          ...extra.map((id) => `${name} still sees ${id}`),
        ];
      });

      if (wrong.length === 0) {
        return Math.max(0, ...all.flatMap(({ fresh }) => [...fresh.values()])) - began;
      }
      if (now() - began > within) {
        throw new Error(`not settled within ${Math.round(within)} ms: ${wrong.join(', ')}`);
      }
      await sleep(POLL);
    }
  }

  /**
   * What has come to the hosts that are alive, since their `begin`.
   *
   * @returns {Promise<import('./streams').Stream[]>}
   */
  async streams() {
    const members = this.alive;
    const all = await Promise.all(members.map((member) => member.seen()));
    const ids = members.flatMap((member) => member.ids);

    return members.flatMap(({ name: to }, index) => {
      const { lives } = all[index];

      return [...new Set(lives.map(({ id }) => id))].map((id) => {
        const ofId = lives.filter((life) => life.id === id);

        return {
          from: ofId[0].host,
          to,
          repeated: sum(ofId.map(({ repeated }) => repeated)),
          missing: sum(ofId.map(({ missing }) => missing)),
          reported: sum(ofId.map(({ reported }) => reported)),
          closed: ids.includes(id) && ofId.some(({ until }) => until !== undefined),
        };
      });
    });
  }

  /**
   * Resolves once a host consumes a DataProducer.
   *
   * @param {string} name
   * @param {string} id
   */
  async consumed(name, id) {
    while (!(await this.member(name).seen()).lives.some((life) => life.id === id)) {
      await sleep(POLL);
    }
  }

  /**
   * Resolves once a DataProducer is in a host's room.
   *
   * @param {string} name
   * @param {string} id
   */
  async sees(name, id) {
    const member = this.member(name);

    while (!member.ids.includes(id) && !(await member.seen()).remote.includes(id)) {
      await sleep(POLL);
    }
  }

  /**
   * Resolves once a host has all that another one has sent.
   *
   * @param {string} to
   * @param {string} from
   */
  async caughtUp(to, from) {
    const { ids } = this.member(from);
    const sent = await this.member(from).call('sent');

    for (;;) {
      const { highest } = await this.member(to).seen();

      if ((highest.get(ids[0]) ?? -1) + 1 >= sent) {
        return;
      }
      await sleep(POLL);
    }
  }

  /** The same as `streams()`, after 'missed' has had time to report all that is missing. */
  async reported() {
    for (let tries = 0; ; tries += 1) {
      const streams = await this.streams();

      if (tries === TRIES || streams.every(({ missing, reported }) => missing <= reported)) {
        return streams;
      }
      await sleep(POLL);
    }
  }

  /**
   * Resolves with the first event of this kind that a host has seen since some time.
   *
   * @param {string} name
   * @param {string} event
   * @param {{ since: number, within: number, about?: string }} options - `about`: the first argument.
   * @returns {Promise<{ at: number, event: string, args: any[] }>}
   */
  async event(name, event, { since, within, about }) {
    for (;;) {
      const { events } = await this.member(name).seen();
      const found = events.find(
        (each) => each.at >= since && each.event === event && (!about || each.args.includes(about)),
      );

      if (found) {
        return found;
      }
      if (now() - since > within) {
        const others = events.map((each) => `${Math.round(each.at - since)} ${each.event}`);

        throw new Error(
          `${name} has no '${event}' (${about}) within ${Math.round(within)} ms, only ${others.join(', ')}`,
        );
      }
      await sleep(POLL);
    }
  }

  async close() {
    await Promise.all([...this.#members.values()].map(({ process }) => process?.kill()));
    await Promise.all([...this.#servers.values()].map((server) => server.kill()));
    await this.#net.close();
  }

  /**
   * @param {string} name
   * @param {string[]} all
   */
  async #startServer(name, all) {
    const { kind } = this.#options;
    const address = this.#net.address(name);
    const routes = all.filter((other) => other !== name);
    const listen = ['--cluster_name', 'c', '--cluster', `nats://${address}:${ROUTE}`];
    const options = [
      // Without a password, it would only serve its own machine.
      ...(kind === 'redis' ? ['--protected-mode', 'no'] : []),
      ...(routes.length > 0 ? listen : []),
      ...routes.flatMap((other) => ['--routes', `nats://${this.#net.address(other)}:${ROUTE}`]),
    ];
    const place = { address, port: PORTS[kind], inside: this.#net.inside(name) };

    this.#servers.set(name, await BusServer.start(kind, options, place));
  }
}

exports.ROOM = ROOM;
exports.SECRET = SECRET;
exports.Scene = Scene;
exports.now = now;
