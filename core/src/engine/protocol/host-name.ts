/** How users name hosts: `alias`, `user@host`, `host:port`, `user@host:port`, `user@[::1]:port`, `localhost`. Pure. */

import { EngineFailure } from "./failure";

export interface HostName {
  /** Alias, name or address, without brackets. */
  readonly name: string;
  readonly user: string | null;
  readonly port: number | null;
}

/**
 * Such a word could reach a command line or a shell of the user's ssh config (`%h` in `ProxyCommand` and `Match exec`)
 * or a line of known_hosts, and mean something else there.
 */
const UNSAFE = /[\p{Cc}\p{Cf}\p{Cs}\p{Z}'"`$;&<>|(){}]/u;
/** Patterns and separators of ssh config and known_hosts; a backslash is fine in a user (`DOMAIN\user`), not in a host. */
const UNSAFE_IN_HOST = /[\\*?!,#@[\]]/u;

/** True when nothing on the way to the host could take the name for an option, a pattern or a piece of a command. */
export function isSafeHostName(name: string): boolean {
  return name !== "" && name.length <= 255 && !name.startsWith("-") && !UNSAFE.test(name) && !UNSAFE_IN_HOST.test(name);
}

export function isSafeUserName(user: string): boolean {
  return user !== "" && user.length <= 255 && !user.startsWith("-") && !user.endsWith("\\") && !UNSAFE.test(user);
}

export function isPort(port: number): boolean {
  return Number.isInteger(port) && port >= 1 && port <= 65535;
}

/** Takes a host name apart. Throws EngineFailure ERR_INVALID_ARGUMENT. */
export function parseHost(host: string): HostName {
  const at = host.lastIndexOf("@"); // as ssh does: user names may hold an @, hosts may not
  const user = at < 0 ? null : host.slice(0, at);
  const { name, port } = splitPort(host, host.slice(at + 1));

  if (user !== null && !isSafeUserName(user)) throw invalid(host, "the user name before the @ is not usable");
  if (!isSafeHostName(name)) throw invalid(host, "the host name is empty or not usable");
  return { name, user, port };
}

/** Of `[user@]host[:port]`, several with commas, or `none`. Throws EngineFailure ERR_INVALID_ARGUMENT. */
export function parseProxyJump(jump: string): readonly HostName[] {
  return jump.toLowerCase() === "none" ? [] : jump.split(",").map(parseHost);
}

function splitPort(whole: string, rest: string): { name: string; port: number | null } {
  const bracketed = /^\[([^[\]]*)\](?::(.*))?$/su.exec(rest);
  if (bracketed) return { name: bracketed[1] ?? "", port: toPort(whole, bracketed[2]) };

  const colon = rest.indexOf(":");
  // Two colons without brackets are a bare IPv6 address, which has no room for a port.
  if (colon < 0 || rest.includes(":", colon + 1)) return { name: rest, port: null };
  return { name: rest.slice(0, colon), port: toPort(whole, rest.slice(colon + 1)) };
}

function toPort(whole: string, digits: string | undefined): number | null {
  if (digits === undefined) return null;
  const port = /^[0-9]{1,5}$/.test(digits) ? Number(digits) : NaN;
  if (!isPort(port)) throw invalid(whole, "the port is not a number from 1 to 65535");
  return port;
}

function invalid(host: string, why: string): EngineFailure {
  const shown = JSON.stringify(host.length > 100 ? `${host.slice(0, 100)}…` : host);
  return new EngineFailure({
    code: "ERR_INVALID_ARGUMENT",
    message:
      `${shown} is not a host: ${why}. Write an alias of your ssh config, user@host:port, user@[::1]:port or localhost; ` +
      "names do not begin with - and hold no spaces, control characters or shell characters.",
  });
}
