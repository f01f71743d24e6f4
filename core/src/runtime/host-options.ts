/** Where a host is and how to get there: the public options, checked, and as the engine takes them. */
import { engineClient } from "../engine/client";
import {
  type ConnectionSettings,
  EngineFailure,
  type HostSpec,
  type PromptRequest,
  type Transport,
  parseHost,
} from "../engine/protocol";
import { Environment, absolutePath } from "../environment";
import { InvalidArgumentError } from "../errors";
import { requireInterpreter } from "../task";
import {
  requireDuration,
  requireFlag,
  requireOptions,
  requirePath,
  requireText,
  requireVariables,
  show,
} from "../validate";

/** What is left out comes from the ssh config; what is given wins over it. */
export interface ConnectionOptions {
  user?: string;
  port?: number;
  /** Private key file(s) on the manager. */
  identityFile?: string | string[];
  /** Of the identity file. */
  passphrase?: string;
  password?: string;
  /** Socket of an ssh agent; false: none. Default: the ssh config's, else `SSH_AUTH_SOCK`. */
  agent?: string | false;
  /** `[user@]host[:port]`, several with commas, or `none`. */
  proxyJump?: string;
  knownHostsFile?: string | string[];
  /** `accept-new` also stores unknown keys; a changed or revoked key is always refused. Default: the ssh config's, else `yes`. */
  strictHostKeyChecking?: "yes" | "accept-new";
  /**
   * [ms] until login is through, and then again until our agent runs there, for a login shell may be slow; default: the ssh config's
   * ConnectTimeout, else 10000, for the login; 30000 for the agent.
   */
  connectTimeoutMs?: number;
  /** [ms] between probes, from 1000 on; a host that misses three is lost. Default: the ssh config's ServerAliveInterval, else 5000; 0: none. */
  keepaliveIntervalMs?: number;
  /** Asked for what a login needs and nobody gave; one answer per prompt. A rejection ends the login. Default: no questions. */
  prompt?: (request: PromptRequest) => Promise<string[]>;
}

export interface RuntimeOptions {
  /** Path on the host (`~` works), created when missing and kept; default: a temporary one, removed at cleanup and exit. */
  workingDir?: string;
  connection?: ConnectionOptions;
  /**
   * Interpreter (≥ 3.6) for agent and functions: a path or command on the host, the folder of a virtual or conda environment, the name of a
   * conda environment or of a pyenv version; default `python3`.
   */
  python?: string;
  /** First value of `envVariables`. */
  env?: Record<string, string>;
  /** True: steps see the variables of a login shell, read once per connection; default false. */
  loginEnv?: boolean;
  /** [ms] of silence after which the host ends our processes by itself; default 60000. */
  leaseMs?: number;
  /**
   * `openssh` runs over the system's `ssh`, which also knows certificates, hardware keys, ProxyCommand and Kerberos.
   * Default: `local` for `localhost`; `openssh` where the ssh config asks for what only that can do; else `ssh2`.
   */
  transport?: Transport;
  /** True: HTML and SVG of objects that come from there are shown as such in a notebook, where they could act in your name; default false: as text. */
  trusted?: boolean;
  /** The ssh config that the host is looked up in; default: `Environment.sshConfigFile`. */
  sshConfigFile?: string;
}

const DEFAULT_LEASE_MS = 60_000;
const LEAST_LEASE_MS = 1000;
const LEAST_KEEPALIVE_MS = 1000;
const TRANSPORTS: readonly unknown[] = ["ssh2", "openssh", "local"];
export const RUNTIME_KEYS = [
  "workingDir",
  "connection",
  "python",
  "env",
  "loginEnv",
  "leaseMs",
  "transport",
  "sshConfigFile",
  "trusted",
] as const;

/** RuntimeOptions after their check. */
export interface CheckedOptions {
  readonly spec: HostSpec;
  readonly workingDir: string | null;
  readonly env: Record<string, string>;
  readonly trusted: boolean;
}

/** Throws InvalidArgumentError. */
export function checkHost(host: unknown, what: string): string {
  const text = requireText(host, `${what}: the host`);
  try {
    parseHost(text);
  } catch (error) {
    if (error instanceof EngineFailure) throw new InvalidArgumentError(`${what}: ${error.message}`);
    throw error;
  }
  return text;
}

/** Throws InvalidArgumentError. */
export function checkRuntimeOptions(host: string, options: RuntimeOptions | undefined, what: string): CheckedOptions {
  const given = requireOptions(options, RUNTIME_KEYS, what);
  const { settings, promptId } = checkConnectionOptions(
    given["connection"] as ConnectionOptions | undefined,
    `${what}: connection`,
  );
  return {
    spec: {
      host,
      transport: checkTransport(given["transport"], what),
      connection: settings,
      promptId,
      python: given["python"] === undefined ? "python3" : requireInterpreter(given["python"], `${what}: python`),
      loginEnv: given["loginEnv"] === undefined ? false : requireFlag(given["loginEnv"], `${what}: loginEnv`),
      leaseMs:
        given["leaseMs"] === undefined
          ? DEFAULT_LEASE_MS
          : requireDuration(given["leaseMs"], `${what}: leaseMs`, LEAST_LEASE_MS),
      sshConfigFile: checkConfigFile(given["sshConfigFile"], what),
      traceProtocol: Environment.thirdPartyLogLevel === "debug",
    },
    workingDir: given["workingDir"] === undefined ? null : requirePath(given["workingDir"], `${what}: workingDir`),
    env: given["env"] === undefined ? {} : requireVariables(given["env"], `${what}: env`),
    trusted: given["trusted"] === undefined ? false : requireFlag(given["trusted"], `${what}: trusted`),
  };
}

/** Absolute; null: the user's own. */
export function checkConfigFile(value: unknown, what: string): string | null {
  if (value === undefined) return Environment.sshConfigFile || null;
  return absolutePath(requirePath(value, `${what}: sshConfigFile`));
}

export function checkTransport(value: unknown, what: string): Transport | null {
  if (value === undefined) return null;
  if (!TRANSPORTS.includes(value))
    throw new InvalidArgumentError(`${what}: transport is "ssh2", "openssh" or "local", not ${show(value)}.`);
  return value as Transport;
}

const CHECKS: { readonly [K in keyof Required<ConnectionOptions>]: (value: unknown, what: string) => unknown } = {
  user: requireText,
  port: (value, what) => {
    if (typeof value === "number" && Number.isInteger(value) && value >= 1 && value <= 65535) return value;
    throw new InvalidArgumentError(`${what} must be a port from 1 to 65535, not ${show(value)}.`);
  },
  identityFile: requirePaths,
  passphrase: requireText,
  password: requireText,
  agent: (value, what) => (value === false ? false : requirePath(value, what)),
  proxyJump: requireText,
  knownHostsFile: requirePaths,
  strictHostKeyChecking: (value, what) => {
    if (value === "yes" || value === "accept-new") return value;
    throw new InvalidArgumentError(`${what} is "yes" or "accept-new", not ${show(value)}.`);
  },
  connectTimeoutMs: (value, what) => requireDuration(value, what),
  keepaliveIntervalMs: (value, what) => {
    // Who thinks in seconds would lose every host at once.
    if (value === 0 || (typeof value === "number" && value >= LEAST_KEEPALIVE_MS))
      return requireDuration(value, what, 0);
    throw new InvalidArgumentError(
      `${what} must be milliseconds from ${String(LEAST_KEEPALIVE_MS)} on, or 0 for none, not ${show(value)}.`,
    );
  },
  prompt: (value, what) => {
    if (typeof value === "function") return value;
    throw new InvalidArgumentError(`${what} must be a function that gives a promise of answers, not ${show(value)}.`);
  },
};

/** Throws InvalidArgumentError. */
export function checkConnectionOptions(
  options: ConnectionOptions | undefined,
  what: string,
): { settings: ConnectionSettings; promptId: number | null } {
  const given = requireOptions(options, Object.keys(CHECKS), what);
  const settings: Record<string, unknown> = {};
  for (const [key, check] of Object.entries(CHECKS)) {
    if (given[key] !== undefined && key !== "prompt") settings[key] = check(given[key], `${what}: ${key}`);
  }
  if (given["prompt"] !== undefined) CHECKS.prompt(given["prompt"], `${what}: prompt`);
  const promptId = options?.prompt ? engineClient().registerPrompt(options.prompt) : null;
  return { settings, promptId };
}

function requirePaths(value: unknown, what: string): string | readonly string[] {
  return Array.isArray(value) ? value.map((item) => requirePath(item, what)) : requirePath(value, what);
}
