import type { Bus } from '../cluster';

/** A connection of '@nats-io/transport-node' 3 or 'nats' 2 (2.8 or later). */
export type NatsConnection = {
  publish(subject: string, payload?: any): void;
  subscribe(subject: string, options?: any): { unsubscribe(): void };
  flush(): Promise<void>;
  isClosed(): boolean;
  isDraining(): boolean;
};

/**
 * Makes a Bus of a NATS connection. The application stays in charge of the connection: its reconnects, credentials and
 * end.
 *
 * @throws TypeError: `connection` is not a connection, or was made with `noEcho`; a host has to hear its own messages.
 */
export function natsBus(connection: NatsConnection): Bus;
