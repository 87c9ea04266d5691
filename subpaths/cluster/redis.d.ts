import type { Bus } from '../cluster';

/** A client of 'ioredis' (5 or later) or of 'redis' (4.2 or later). */
export type RedisClient = {
  publish(channel: any, message: any): Promise<unknown>;
  duplicate(...args: any[]): any;
};

/**
 * Makes a Bus of a Redis client. The application stays in charge of the client. Redis needs a connection of its own for
 * subscriptions: `client.duplicate()` makes it with the first subscription, and it ends with the last. An ioredis
 * client with `lazyConnect` is connected for you; with any other client that is not connected, `createCluster()`
 * rejects.
 *
 * @throws TypeError: `client` is not a client.
 */
export function redisBus(client: RedisClient): Bus;
