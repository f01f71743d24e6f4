/** How TCP connections get to the ports of a host's loopback, and from them to us. */
import type { Duplex } from "node:stream";
import type { PortHand } from "../../engine/protocol/exposure-record";

/**
 * One TCP connection as a stream, with half-close: `end()` ends what we send, the event `end` what we get. One that broke is
 * destroyed instead, and so ends with `close` without `end`.
 */
export type PortStream = Duplex;

/** A connection that somebody opened to a port that is listened on. Exactly one of the two must be called. */
export interface Incoming {
  /** Takes it; one that is gone meanwhile breaks soon. */
  accept(): PortStream;
  /** Breaks it off. */
  refuse(): void;
}

export interface PortListener {
  readonly port: number;
  /** Who listens. */
  readonly by: PortHand;
  /** Resolves when the port is free again, or the host was lost. Connections that were accepted live on. Never rejects. */
  close(): Promise<void>;
}

/** The ports of one machine's loopback. */
export interface Ports {
  /** Who connects to its ports now. */
  readonly dialer: PortHand;
  /** Rejects EngineFailure: ERR_CONNECTION when nobody listens there. */
  dial(port: number): Promise<PortStream>;
  /**
   * @param port 0: the machine chooses.
   * @param anyUser false: only connections of our own user there, and of root; null: as it is fastest.
   * Rejects EngineFailure: ERR_PORT_IN_USE.
   */
  listen(port: number, anyUser: boolean | null, incoming: (connection: Incoming) => void): Promise<PortListener>;
  /** Those of the ports that nobody listens on, in their order. Rejects EngineFailure. */
  free(ports: readonly number[]): Promise<number[]>;
}
