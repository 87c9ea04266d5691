import type { Bus } from '../cluster';

/** A connection of '@nats-io/transport-node' 3 or 'nats' 2 (2.8 or later): what is used of it. */
export type NatsConnection = {
  publish(subject: string, payload?: any): void;
  subscribe(subject: string, options?: any): { unsubscribe(): void };
  flush(): Promise<void>;
  isClosed(): boolean;
  isDraining(): boolean;
};

/**
 * A Bus over a NATS connection of the application, which stays in charge of it: its reconnects, credentials and end.
 *
 * @throws TypeError if `connection` is none, or was made with `noEcho`: a host has to hear its own messages.
 */
export function natsBus(connection: NatsConnection): Bus;
