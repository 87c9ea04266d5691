'use strict';

// The close cascade as docs/closures.md tells it: what is closed when, and who emits what in which order.

/**
 * Who is below whom, in the order in which they close, and what they emit then.
 *
 * @type {Record<string, { below: string[], event: string }>}
 */
const RULES = {
  worker: { below: ['router', 'webRtcServer'], event: 'workerclose' },
  webRtcServer: { below: [], event: 'listenserverclose' },
  router: { below: ['transport'], event: 'routerclose' },
  transport: { below: ['dataProducer', 'dataConsumer'], event: 'transportclose' },
  dataProducer: { below: [], event: '' },
  dataConsumer: { below: [], event: '' },
};

/** What the model knows of an object. */
class Entity {
  closed = false;
  /** It has emitted its last event. */
  ended = false;
  /** @type {Entity[]} in the order of their creation. */
  below = [];
  /** @type {Entity | undefined} the WebRtcServer of a transport. */
  server;
  /** @type {Map<Entity, boolean>} the transports of a WebRtcServer, and whether it has told of them. */
  served = new Map();
  /** @type {Entity | undefined} of a DataConsumer. */
  dataProducer;
  /** @type {Entity | undefined} its counterpart at the other end of a pipe, which closes with it. */
  mirror;
  /** pipeToRouter() is about to make it and may close it again by itself: nothing is foretold of it yet. */
  loose = false;
  /** It was made by pipeToRouter(). */
  managed = false;

  /**
   * @param {string} kind
   * @param {string} name
   * @param {any} object
   * @param {Entity} [above]
   */
  constructor(kind, name, object, above) {
    this.kind = kind;
    this.name = name;
    this.object = object;
    this.above = above;
    above?.below.push(this);
  }

  /** @returns {Entity | undefined} the one of that kind that it belongs to. */
  within(/** @type {string} */ kind) {
    return this.kind === kind ? this : this.above?.within(kind);
  }
}

/**
 * The end of `entity`: yields what is emitted, step by step, so that what listeners close meanwhile is taken into
 * account.
 *
 * @param {Entity} entity
 * @param {string} [event] - unless the application closes it.
 * @returns {Generator<string, void>} `name event` or `name.observer event`.
 */
function* end(entity, event) {
  if (entity.closed) {
    return;
  }
  entity.closed = true;
  for (const kind of RULES[entity.kind].below) {
    const siblings = entity.below.filter((it) => it.kind === kind && !it.closed && !it.loose);

    for (const sibling of siblings) {
      yield* end(sibling, RULES[entity.kind].event);
    }
  }
  for (const [transport, told] of [...entity.served]) {
    if (entity.served.delete(transport)) {
      yield* end(transport, RULES.webRtcServer.event);
      if (told) {
        yield `${entity.name}.observer webrtctransportunhandled`;
      }
    }
  }

  const told = entity.server?.served.get(entity) ?? false;

  entity.server?.served.delete(entity);
  if (told && event === undefined) {
    yield `${entity.server?.name}.observer webrtctransportunhandled`;
  }
  if (event !== undefined) {
    yield `${entity.name} ${event}`;
  }
  yield `${entity.name}.observer close`;
  if (entity.mirror) {
    yield* end(entity.mirror);
  }
}

module.exports = { Entity, end };
