/** From an address to a login: TCP, host key, authentication. Whatever goes wrong, nothing is left behind. */

import { connect, type Socket } from "node:net";
import type { Duplex } from "node:stream";
import type { AuthHandlerMiddleware, Client, ConnectConfig, ServerHostKeyAlgorithm } from "ssh2";
import { EngineFailure } from "../../engine/protocol/failure";
import type { Authentication } from "./auth";
import { banned, busy, endpoint, fail, noSshServer, unreachable, type Target } from "../shared/connection-errors";
import type { HostKeyVerifier } from "../ssh/host-key";
import { DroppedUnheard } from "../ssh/ramp";
import type { Ssh2 } from "../ssh/ssh2-module";

export interface LoginSettings {
  readonly target: Target;
  readonly addressFamily: 0 | 4 | 6;
  readonly bindAddress: string | null;
  /** [ms]; 0: none. */
  readonly keepaliveIntervalMs: number;
  readonly verifier: HostKeyVerifier;
  readonly trace: ((line: string) => void) | null;
  /** Told what the login waits for, for the sentence of a time-out. */
  readonly onPhase: (unfinished: string) => void;
}

export interface Login {
  readonly client: Client;
  /** ssh2's own `destroy()` does nothing once the polite end has begun. */
  readonly socket: Duplex;
}

/** Unanswered probes until a host is lost. */
const KEEPALIVE_COUNT = 3;

/** [ms] for each but the last address of a name. Node's 250 is less than a round trip to some hosts. */
const ADDRESS_TIMEOUT_MS = 2_000;

/** TCP. Rejects EngineFailure, or the signal's reason. */
export function openSocket(
  settings: Pick<LoginSettings, "target" | "addressFamily" | "bindAddress">,
  signal: AbortSignal,
): Promise<Socket> {
  const { target, addressFamily, bindAddress } = settings;
  return new Promise((resolve, reject) => {
    const socket = connect({
      host: target.address,
      port: target.port,
      family: addressFamily,
      ...(bindAddress === null ? {} : { localAddress: bindAddress }),
      // Without it small messages wait 40 ms for each other.
      noDelay: true,
      keepAlive: true,
      autoSelectFamilyAttemptTimeout: ADDRESS_TIMEOUT_MS,
    });
    const settle = (): void => {
      signal.removeEventListener("abort", abort);
      socket.off("connect", connected).off("error", failed);
    };
    const abort = (): void => {
      settle();
      socket.on("error", ignore).destroy();
      reject(signal.reason as Error);
    };
    const connected = (): void => {
      settle();
      // Between here and ssh2 nobody else listens: a reset must not be an uncaught exception.
      socket.on("error", ignore);
      resolve(socket);
    };
    const failed = (error: Error): void => {
      settle();
      socket.on("error", ignore).destroy();
      reject(unreachable(target, error));
    };
    socket.on("connect", connected).on("error", failed);
    signal.addEventListener("abort", abort, { once: true });
    if (signal.aborted) abort();
  });
}

/**
 * SSH on an open socket. Rejects EngineFailure, DroppedUnheard, or the signal's reason; the socket is destroyed then.
 */
export function logIn(
  ssh2: Ssh2,
  socket: Duplex,
  settings: LoginSettings,
  algorithms: ServerHostKeyAlgorithm[],
  authentication: Authentication,
  signal: AbortSignal,
): Promise<Login> {
  const { target, verifier, trace } = settings;
  return new Promise((resolve, reject) => {
    const client = new ssh2.Client();
    let authenticating = false;
    let opening = "";
    let settled = false;
    /** The key of the login. */
    let verified: Buffer | null = null;

    const settle = (): boolean => {
      if (settled) return false;
      settled = true;
      signal.removeEventListener("abort", abort);
      socket.off("data", hear).off("close", closed);
      client.off("error", failed).off("ready", ready).off("handshake", shaken);
      return true;
    };
    const giveUp = (error: Error): void => {
      if (!settle()) return;
      socket.destroy();
      reject(error);
    };
    const abort = (): void => giveUp(signal.reason as Error);
    const failed = (error: Error & { level?: string }): void => {
      // A key that could not be used; the next one is tried.
      if (error.level === "agent") return;
      // What carries the connection, a jump host, was lost: that is explained already.
      giveUp(error instanceof EngineFailure ? error : explain(error));
    };
    const closed = (): void => giveUp(explain(new Error("the connection was closed")));
    const ready = (): void => {
      if (!settle()) return;
      resolve({ client, socket });
    };
    const shaken = (): void => {
      authenticating = true;
      settings.onPhase("did not finish the login");
    };
    const hear = (chunk: Buffer): void => {
      if (opening.length < 256) opening += chunk.toString("latin1", 0, 256);
      else socket.off("data", hear);
    };
    const explain = (error: Error & { level?: string }): Error => {
      if (authenticating) return explainRefusal(target, error, authentication);
      return explainHandshake(target, error, opening);
    };

    const config: ConnectConfig = {
      sock: socket,
      username: target.user,
      // The time limit of the whole login is ours.
      readyTimeout: 0,
      keepaliveInterval: settings.keepaliveIntervalMs,
      keepaliveCountMax: KEEPALIVE_COUNT,
      algorithms: { serverHostKey: algorithms },
      // The types forget the null and the false that ssh2 documents.
      authHandler: authentication.handler as AuthHandlerMiddleware,
      // Asked at each key exchange, of which there may be many: sshd makes new keys every hour, or GiB (RekeyLimit).
      hostVerifier: (blob: Buffer, permit: (permitted: boolean) => void): void => {
        if (verified !== null) {
          if (verified.equals(blob)) permit(true);
          else socket.destroy(verifier.changedMeanwhile(blob, verified));
          return;
        }
        const shown = Buffer.from(blob);
        void verifier.verify(shown, signal).then((failure) => {
          if (failure) giveUp(failure);
          else if (!settled) {
            verified = shown;
            permit(true);
          }
        });
      },
      ...(trace === null ? {} : { debug: trace }),
    };

    client.on("error", ignore); // for good: an error that nobody hears would end this process
    client.on("error", failed).on("ready", ready).on("handshake", shaken);
    signal.addEventListener("abort", abort, { once: true });
    if (signal.aborted) {
      abort();
    } else if (socket.destroyed) {
      closed(); // while we read known_hosts
    } else {
      socket.on("close", closed);
      client.connect(config);
      // After connect(), which pauses the socket: this listener may not start the flow before ssh2's own.
      socket.on("data", hear);
      settings.onPhase("accepted the connection, but did not finish the ssh handshake");
    }
  });
}

function explainHandshake(target: Target, error: Error & { level?: string }, opening: string): Error {
  const where = endpoint(target);
  if (/^Not allowed at this time/.test(opening)) return banned(target, error);
  if (opening !== "" && !opening.includes("SSH-")) {
    if (/MaxStartups/i.test(opening)) return new DroppedUnheard(busy(target, error));
    return noSshServer(target, opening, error);
  }
  if ("code" in error && typeof error.code === "number") {
    return fail(
      target,
      "ERR_CONNECTION",
      `${where} refused the connection: ${error.message}. Its sshd's log says why.`,
      {},
      error,
    );
  }
  // "handshake" is a fault that we found: no common algorithm, a wrong signature. It would be the same again.
  if (error.level === "handshake") {
    return fail(target, "ERR_CONNECTION", `the ssh handshake with ${where} failed: ${error.message}.`, {}, error);
  }
  return new DroppedUnheard(busy(target, error));
}

function explainRefusal(
  target: Target,
  error: Error & { level?: string; code?: unknown },
  authentication: Authentication,
): Error {
  if (error.level === "client-authentication") return authentication.failure(null);
  // A DISCONNECT message of the host has a number as its code, and its words as the message.
  if (typeof error.code === "number") return authentication.failure(error.message);
  return fail(
    target,
    "ERR_CONNECTION",
    `${endpoint(target)} closed the connection during the login: ${error.message}. Its sshd's log says why.`,
    {},
    error,
  );
}

function ignore(): void {
  // Whoever caused it has the reason already.
}
