/** What every way to a host gives: processes with binary pipes. The bootstrap of the agent runs in one. */

import type { Duplex, Readable, Writable } from "node:stream";
import type { EngineFailure } from "../../engine/protocol/failure";
import type { PromptRequest, Transport } from "../../engine/protocol/host-spec";
import type { Incoming, PortListener } from "./ports";

/** A process on the host. */
export interface RemoteProcess {
  /** Backpressure is honoured; `end()` is the end of the process' input. */
  readonly stdin: Writable;
  /** Raw bytes. Nothing more comes from the host while it is paused and its window is full. */
  readonly stdout: Readable;
  readonly stderr: Readable;
  /** Never rejects; resolves also, with two nulls, when the connection is lost. Output may still follow it. */
  readonly exited: Promise<ProcessExit>;
  /** Best effort: an sshd may ignore it. What must end for sure is ended by the agent. */
  kill(): void;
}

export interface ProcessExit {
  readonly code: number | null;
  readonly signal: string | null;
}

/** What sshd forwards. It may be forbidden (AllowTcpForwarding), for some ports or for all. */
export interface Tunnels {
  /** A connection to a port of the host's loopback. Never rejects. */
  dial(port: number): Promise<TunnelOutcome>;
  /**
   * sshd listens on the host's loopback and hands each connection over. Null when it does not: the port is in use, or it may
   * not. Anybody on the host may connect.
   */
  listen(port: number, incoming: (connection: Incoming) => void): Promise<PortListener | null>;
}

export type TunnelOutcome =
  | { readonly kind: "open"; readonly stream: Duplex }
  | { readonly kind: "forbidden" }
  | { readonly kind: "refused"; readonly failure: EngineFailure };

/** A login on the host, or the local machine. */
export interface HostConnection {
  /** As the user wrote it. */
  readonly host: string;
  readonly transport: Transport;
  /** [ms] between probes as the ssh config has it, where nobody said otherwise; 0: none. */
  readonly keepaliveIntervalMs: number;
  /** Runs the command through the login shell, as sshd does; locally through `/bin/sh -c`. Rejects EngineFailure. */
  exec(command: string): Promise<RemoteProcess>;
  /** Port forwarding by sshd itself, where this way to the host has it. */
  readonly tunnels?: Tunnels;
  /** Resolves when the connection is gone: with null after `close()`, else with what ended it. */
  readonly closed: Promise<EngineFailure | null>;
  /** Idempotent; politely at first, by force within a second. Never rejects. */
  close(): Promise<void>;
}

/** [ms] between probes, where neither the user nor the ssh config says. */
export const DEFAULT_KEEPALIVE_MS = 5_000;

/** [ms] that a login may take, where neither the user nor the ssh config says. */
export const DEFAULT_TIMEOUT_MS = 10_000;
/** [ms] for a polite end; a host that does not answer gets no more. */
export const CLOSE_MS = 1_000;

export type LogLevel = "debug" | "info" | "warn" | "error";

export interface ConnectContext {
  /** Aborting ends the attempt promptly and frees what it holds. */
  readonly signal: AbortSignal;
  /** Null: nobody can be asked. */
  readonly prompt: ((request: PromptRequest) => Promise<string[]>) | null;
  readonly log: (level: LogLevel, message: string) => void;
  /** Also log every packet of the ssh protocol. Costly: for hunting faults. */
  readonly traceProtocol?: boolean;
}
