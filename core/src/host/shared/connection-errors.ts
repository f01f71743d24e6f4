/** One clear sentence for each way in which a host cannot be reached: which host, which address, what to do. */

import { EngineFailure, type ErrorCode, type FailureData } from "../../engine/protocol/failure";

/** Where a connection goes: the user's name for it, and what the ssh config made of that. */
export interface Target {
  readonly host: string;
  readonly address: string;
  readonly port: number;
  readonly user: string;
}

export function cancelled(host: string): EngineFailure {
  return new EngineFailure({ code: "ERR_CANCELLED", host, message: `${host}: cancelled.` });
}

export function fail(
  target: Target,
  code: ErrorCode,
  what: string,
  more: Partial<FailureData> = {},
  cause?: unknown,
): EngineFailure {
  return new EngineFailure({ ...more, code, host: target.host, message: `${target.host}: ${what}` }, cause);
}

/** `10.0.0.7:22`, `[::1]:22`. */
export function endpoint({ address, port }: Target): string {
  return address.includes(":") ? `[${address}]:${port}` : `${address}:${port}`;
}

export function timedOut(target: Target, timeoutMs: number, during: string): EngineFailure {
  return fail(
    target,
    "ERR_CONNECTION",
    `${endpoint(target)} ${during} within ${timeoutMs / 1000} s. Check that the host is up and no firewall is between; ` +
      "a slow host needs a larger connectTimeoutMs, or ConnectTimeout in the ssh config.",
    { errno: "ETIMEDOUT" },
  );
}

/** From an error of the TCP socket. */
export function unreachable(target: Target, error: Error): EngineFailure {
  const errno = "code" in error && typeof error.code === "string" ? error.code : undefined;
  return fail(target, "ERR_CONNECTION", sentence(target, errno, error), errno === undefined ? {} : { errno }, error);
}

function sentence(target: Target, errno: string | undefined, error: Error): string {
  const where = endpoint(target);
  switch (errno) {
    case "ENOTFOUND":
    case "EAI_NONAME":
    case "EAI_NODATA":
    case "EAI_FAIL":
      return `the name "${target.address}" cannot be resolved. Check the spelling, or add the host to your ssh config with a HostName.`;
    case "EAI_AGAIN":
      return `the name "${target.address}" cannot be resolved now: the name server does not answer. Check this machine's network.`;
    case "ECONNREFUSED":
      return `${where} refused the connection. Check that sshd runs there, and the port.`;
    case "EHOSTUNREACH":
    case "ENETUNREACH":
    case "ENETDOWN":
    case "EHOSTDOWN":
      return `${where} cannot be reached from this machine (no route). Check the address and the network, or a VPN.`;
    case "ETIMEDOUT":
      return `${where} did not answer. Check that the host is up and no firewall is between.`;
    case "ECONNRESET":
    case "EPIPE":
      return `${where} broke the connection off. Check the sshd and what is between; sshd's log on the host says why.`;
    case "EADDRNOTAVAIL":
    case "EADDRINUSE":
      return `${where} cannot be reached from the BindAddress of the ssh config, or this machine has no free port left.`;
    case "EACCES":
    case "EPERM":
      return `this machine's firewall forbids a connection to ${where}.`;
    case "EMFILE":
    case "ENFILE":
      return `this process has too many open files for another connection. Raise the limit (ulimit -n).`;
    case undefined:
    default:
      return `no connection to ${where}: ${error.message}.`;
  }
}

/** It says so with words, before the ssh handshake. */
export function banned(target: Target, error: Error): EngineFailure {
  return fail(
    target,
    "ERR_CONNECTION",
    `${endpoint(target)} refuses this machine for a while, because of failed logins before (PerSourcePenalties of its sshd). Wait a few minutes, and correct the login first.`,
    {},
    error,
  );
}

/** @param opening what it said instead of `SSH-` */
export function noSshServer(target: Target, opening: string, error: Error): EngineFailure {
  const said = JSON.stringify(opening.split(/[\r\n]/, 1)[0]?.slice(0, 100));
  return fail(
    target,
    "ERR_CONNECTION",
    `${endpoint(target)} is no ssh server: it said ${said}. Check the port.`,
    {},
    error,
  );
}

/** It hung up without a word. */
export function busy(target: Target, error: Error): EngineFailure {
  return fail(
    target,
    "ERR_CONNECTION",
    `${endpoint(target)} closed the connection before the ssh handshake, three times. Its sshd may have too many logins at once (MaxStartups), ` +
      "or refuse this machine; its log says why.",
    {},
    error,
  );
}

export function jumpForbids(target: Target, jump: string, why: string, cause?: unknown): EngineFailure {
  return fail(
    target,
    "ERR_CONNECTION",
    `its jump host ${jump} does not let connections to ${endpoint(target)} through (${why}). ` +
      "Its sshd forbids it (AllowTcpForwarding, PermitOpen): ask who runs it, or use another jump host.",
    {},
    cause,
  );
}

export function jumpCannotReach(target: Target, jump: string, why: string, cause?: unknown): EngineFailure {
  return fail(
    target,
    "ERR_CONNECTION",
    `its jump host ${jump} cannot reach ${endpoint(target)} (${why}). ` +
      "Check that sshd runs there, the address as the jump host knows it, and the port.",
    {},
    cause,
  );
}
