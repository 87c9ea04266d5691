'use strict';

// The close cascade of docs/closures.md: what closes when, and which object emits what in which order.

/**
 * For each kind: the kinds below it, in the order of closing, and the event that the objects below emit when an object
 * of this kind closes.
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

/** The model of an object. */
class Entity {
  closed = false;
  /** Whether the object has emitted its last event. */
  ended = false;
  /** @type {Entity[]} in the order of their creation. */
  below = [];
  /** @type {Entity | undefined} the WebRtcServer of a transport. */
  server;
  /** @type {Map<Entity, boolean>} of a WebRtcServer: its transports, and whether 'webrtctransporthandled' was emitted. */
  served = new Map();
  /** @type {Entity | undefined} of a DataConsumer. */
  dataProducer;
  /** @type {Entity | undefined} the counterpart at the other end of a pipe: both close together. */
  mirror;
  /** Whether pipeToRouter() is creating the object and may close it again, so that the model predicts nothing yet. */
  loose = false;
  /** Whether pipeToRouter() created the object. */
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

  /** @returns {Entity | undefined} the entity of that kind above it, or itself. */
  within(/** @type {string} */ kind) {
    return this.kind === kind ? this : this.above?.within(kind);
  }
}

/**
 * Closes `entity`. Yields event by event, so that the model accounts for objects that listeners close in between.
 *
 * @param {Entity} entity
 * @param {string} [event] - the event that the entity emits; undefined if the application closes the entity.
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
  for (const [transport, handled] of [...entity.served]) {
    if (entity.served.delete(transport)) {
      yield* end(transport, RULES.webRtcServer.event);
      if (handled) {
        yield `${entity.name}.observer webrtctransportunhandled`;
      }
    }
  }

  const handled = entity.server?.served.get(entity) ?? false;

  entity.server?.served.delete(entity);
  if (handled && event === undefined) {
    yield `${entity.server?.name}.observer webrtctransportunhandled`;
  }
  if (event !== undefined) {
    yield `${entity.name} ${event}`;
  }
  yield `${entity.name} close`;
  yield `${entity.name}.observer close`;
  if (entity.mirror) {
    yield* end(entity.mirror);
  }
}

module.exports = { Entity, end };
