import type { Bus } from '../cluster';

/** A client of 'ioredis' (5 or later) or of 'redis' (4.2 or later): what is used of it. */
export type RedisClient = {
  publish(channel: any, message: any): Promise<unknown>;
  duplicate(...args: any[]): any;
};

/**
 * A Bus over a Redis client of the application, which stays in charge of it. Redis wants a connection of its own for
 * subscriptions: `client.duplicate()` makes it with the first one, and it ends with the last. A client of ioredis with
 * `lazyConnect` is connected; `createCluster()` rejects with one that is not connected otherwise.
 *
 * @throws TypeError if `client` is none.
 */
export function redisBus(client: RedisClient): Bus;
