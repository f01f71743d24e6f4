/** The user's ssh config for one host, as OpenSSH itself reads it: `ssh -G` knows Include, Match and every default. */

import { EngineFailure } from "../../engine/protocol/failure";
import { isSafeHostName, isSafeUserName, type HostName } from "../../engine/protocol/host-name";
import type { HostSpec } from "../../engine/protocol/host-spec";
import { cancelled } from "../shared/connection-errors";
import { expandPath, splitPaths, type PathTokens } from "./config-paths";
import { runTool, type ToolResult } from "./tool";

/** `ask` cannot ask here and is `yes`. `no` still stores new keys and refuses changed ones, but says so. */
export type HostKeyPolicy = "yes" | "accept-new" | "no";

export interface SshConfig {
  /** Where to connect to. */
  readonly hostname: string;
  readonly port: number;
  readonly user: string;
  /** 0: both; 4 or 6. */
  readonly addressFamily: 0 | 4 | 6;
  readonly bindAddress: string | null;
  /** [ms] */
  readonly connectTimeoutMs: number | null;
  /** [ms]; null: not set. */
  readonly serverAliveIntervalMs: number | null;

  readonly hostKeyAlias: string | null;
  readonly hostKeyAlgorithms: readonly string[];
  readonly hostKeyPolicy: HostKeyPolicy;
  readonly hashKnownHosts: boolean;
  /** Absolute paths, existing or not. */
  readonly userKnownHostsFiles: readonly string[];
  readonly globalKnownHostsFiles: readonly string[];

  /** Absolute paths, existing or not. */
  readonly identityFiles: readonly string[];
  readonly identitiesOnly: boolean;
  /** Path of a socket; null: none; undefined: not set. */
  readonly identityAgent: string | null | undefined;
  readonly methods: { readonly publickey: boolean; readonly password: boolean; readonly keyboardInteractive: boolean };
  readonly preferredMethods: readonly string[] | null;

  /** Only when they are set; these need OpenSSH's own client. */
  readonly proxyJump: string | null;
  readonly proxyCommand: string | null;
  readonly certificateFiles: readonly string[];
  readonly revokedHostKeys: string | null;
  readonly pkcs11Provider: string | null;
  /** OpenSSH 8.7 or newer, which has more options to switch off, and marks the questions of hosts as such. */
  readonly isModern: boolean;
}

const RESOLVE_TIMEOUT_MS = 20_000;

/** Rejects EngineFailure: ssh is not installed, the config is wrong, cancelled. */
export async function readSshConfig(spec: HostSpec, name: HostName, signal: AbortSignal): Promise<SshConfig> {
  // An option wins over the name, and both win over the config.
  const user = spec.connection.user ?? name.user;
  const port = spec.connection.port ?? name.port;
  const { proxyJump } = spec.connection;
  const args = [
    "-T", // without it ssh -G complains about our missing terminal
    "-G",
    ...(spec.sshConfigFile === null ? [] : ["-F", spec.sshConfigFile]),
    ...(user === null ? [] : ["-l", user]),
    ...(port === null ? [] : ["-p", String(port)]),
    ...(proxyJump === undefined ? [] : ["-o", `ProxyJump=${proxyJump}`]),
    "--",
    name.name,
  ];
  let result: ToolResult;
  try {
    result = await runTool("ssh", args, { signal, timeoutMs: RESOLVE_TIMEOUT_MS });
  } catch (error) {
    const missing = error instanceof Error && "code" in error && error.code === "ENOENT";
    throw invalidRuntime(
      spec.host,
      missing
        ? "the program ssh, which reads the ssh config, is not on the PATH of this machine. Install the OpenSSH client (package openssh-client or openssh-clients)."
        : "the program ssh, which reads the ssh config, does not start.",
      error,
    );
  }
  if (signal.aborted) throw cancelled(spec.host);
  if (result.timedOut) {
    throw invalidRuntime(
      spec.host,
      `ssh -G did not answer within ${RESOLVE_TIMEOUT_MS / 1000} s. Look for a slow "Match exec" or CanonicalizeHostname in the ssh config.`,
    );
  }
  if (result.code !== 0) {
    const said = result.stderr.trim().split("\n").join("; ") || `exit status ${String(result.code)}`;
    throw invalidRuntime(
      spec.host,
      `the ssh config cannot be used: ${said}. Correct it; ssh -G ${name.name} shows the same.`,
    );
  }
  return checked(spec.host, parseSshConfig(result.stdout, name.name));
}

/** Reads what `ssh -G` prints. Pure but for `~`, environment and the paths that exist. */
export function parseSshConfig(output: string, name: string): SshConfig {
  const values = new Map<string, string[]>();
  for (const line of output.split("\n")) {
    const space = line.indexOf(" ");
    if (space <= 0) continue;
    const key = line.slice(0, space).toLowerCase();
    const value = line.slice(space + 1).trim();
    const known = values.get(key);
    if (known) known.push(value);
    else values.set(key, [value]);
  }
  const all = (key: string): readonly string[] => values.get(key) ?? [];
  const first = (key: string): string | null => all(key)[0] ?? null;
  const unlessNone = (key: string): string | null => {
    const value = first(key);
    return value === null || value.toLowerCase() === "none" ? null : value;
  };
  const isOn = (key: string, otherwise: boolean): boolean => {
    const value = first(key);
    return value === null ? otherwise : value === "yes" || value === "true";
  };
  const list = (key: string): readonly string[] | null => first(key)?.split(",").filter(Boolean) ?? null;

  const hostname = first("hostname") ?? name;
  const port = Number(first("port") ?? 22);
  const user = first("user") ?? "";
  const tokens: PathTokens = {
    original: name,
    hostname,
    port,
    user,
    hostKeyAlias: unlessNone("hostkeyalias") ?? name,
  };
  const knownHosts = (key: string): readonly string[] =>
    splitPaths(unlessNone(key) ?? "").map((path) => expandPath(path, tokens));
  const files = (key: string): readonly string[] =>
    all(key)
      .filter((path) => path.toLowerCase() !== "none")
      .map((path) => expandPath(path, tokens));

  const family = first("addressfamily");
  const bindAddress = unlessNone("bindaddress");
  return {
    hostname,
    port,
    user,
    addressFamily: family === "inet" ? 4 : family === "inet6" ? 6 : 0,
    bindAddress: bindAddress === "*" ? null : bindAddress,
    connectTimeoutMs: seconds(first("connecttimeout")),
    serverAliveIntervalMs: seconds(first("serveraliveinterval")),

    hostKeyAlias: unlessNone("hostkeyalias"),
    hostKeyAlgorithms: list("hostkeyalgorithms") ?? [],
    hostKeyPolicy: toPolicy(first("stricthostkeychecking")),
    hashKnownHosts: isOn("hashknownhosts", false),
    userKnownHostsFiles: knownHosts("userknownhostsfile"),
    globalKnownHostsFiles: knownHosts("globalknownhostsfile"),

    identityFiles: files("identityfile"),
    identitiesOnly: isOn("identitiesonly", false),
    identityAgent: toAgent(first("identityagent"), tokens),
    methods: {
      // Newer versions print `unbound` and `host-bound` for a switched-on PubkeyAuthentication.
      publickey: first("pubkeyauthentication") !== "no" && first("pubkeyauthentication") !== "false",
      password: isOn("passwordauthentication", true),
      keyboardInteractive: isOn("kbdinteractiveauthentication", true),
    },
    preferredMethods: list("preferredauthentications"),

    proxyJump: unlessNone("proxyjump"),
    proxyCommand: unlessNone("proxycommand"),
    certificateFiles: files("certificatefile"),
    revokedHostKeys: unlessNone("revokedhostkeys"),
    pkcs11Provider: unlessNone("pkcs11provider"),
    isModern: values.has("forkafterauthentication"),
  };
}

/** The config may name anything; only what is a host and a user may reach known_hosts and the login. */
function checked(host: string, config: SshConfig): SshConfig {
  if (!isSafeHostName(config.hostname)) {
    throw invalidRuntime(
      host,
      `the ssh config's HostName ${JSON.stringify(config.hostname)} is not a usable host name.`,
    );
  }
  if (config.hostKeyAlias !== null && !isSafeHostName(config.hostKeyAlias)) {
    throw invalidRuntime(
      host,
      `the ssh config's HostKeyAlias ${JSON.stringify(config.hostKeyAlias)} is not a usable host name.`,
    );
  }
  if (!isSafeUserName(config.user)) {
    throw invalidRuntime(host, `the ssh config's User ${JSON.stringify(config.user)} is not a usable user name.`);
  }
  return config;
}

function toPolicy(value: string | null): HostKeyPolicy {
  switch (value) {
    case "accept-new":
      return "accept-new";
    case "no":
    case "off":
    case "false":
      return "no";
    case null:
    default:
      return "yes";
  }
}

function toAgent(value: string | null, tokens: PathTokens): string | null | undefined {
  if (value === null || value === "SSH_AUTH_SOCK") return undefined;
  if (value.toLowerCase() === "none") return null;
  if (value.startsWith("$") && !value.startsWith("${")) return process.env[value.slice(1)] ?? null;
  return expandPath(value, tokens);
}

/** ssh writes `none` or 0 for what is not set. */
function seconds(value: string | null): number | null {
  const count = Number(value);
  return value !== null && Number.isFinite(count) && count > 0 ? count * 1000 : null;
}

function invalidRuntime(host: string, what: string, cause?: unknown): EngineFailure {
  return new EngineFailure({ code: "ERR_INVALID_RUNTIME", host, message: `${host}: ${what}` }, cause);
}
