/** The command line of an ssh that logs in and stays. Every value is an argument or quoted for ssh's own parser. */
import { EngineFailure } from "../../engine/protocol/failure";
import { parseHost } from "../../engine/protocol/host-name";
import type { HostSpec } from "../../engine/protocol/host-spec";
import type { Route } from "../ssh/route";
import { expandHome } from "../ssh/config-paths";

export interface MasterSettings {
  /** Where it listens for those that use its login. */
  readonly socket: string;
  /** How often it may ask for a password, each passphrase, …; 0: never. */
  readonly questions: number;
  /** Whether it may ask what the host wants to know; else it asks for passphrases only. */
  readonly forHost: boolean;
  /** [ms] */
  readonly timeoutMs: number;
  /** [ms]; 0: none. */
  readonly keepaliveIntervalMs: number;
  readonly trace: boolean;
}

/** Unanswered probes until a host is lost. */
const KEEPALIVE_COUNT = 3;

/** [s] after which ssh gives a silent host up. It counts in whole seconds. */
export function silenceSeconds(keepaliveIntervalMs: number): number {
  return Math.ceil(keepaliveIntervalMs / 1000) * (KEEPALIVE_COUNT + 1);
}

/** Environment variable with the control socket of the jump host. */
export const JUMP_VARIABLE = "LAZYCLUSTER_SSH_JUMP";

/** A constant: the shell that runs it finds the path in its environment. `ssh` has checked and put in %h and %p. */
const JUMP_COMMAND = `ssh -F none -S "$${JUMP_VARIABLE}" -o ProxyCommand=false -W '[%h]:%p' -- jump`;

/** Throws EngineFailure ERR_INVALID_ARGUMENT: a path that ssh's parser cannot take. */
export function masterArguments(route: Route, settings: MasterSettings): string[] {
  const { spec, config } = route;
  const { host, connection } = spec;
  const name = parseHost(host);
  const user = connection.user ?? name.user;
  const port = connection.port ?? name.port;
  const files = (values: string | readonly string[]): string[] => asList(values).map((path) => quote(host, path));
  const { identityFile, knownHostsFile, agent } = connection;
  const identities = identityFile === undefined ? [] : files(identityFile);

  const options: readonly (string | false)[] = [
    `LogLevel=${settings.trace ? "DEBUG3" : "DEBUG1"}`, // the reason of a failure is told at this level
    "ControlPersist=no",
    // Only what we ask for runs and listens.
    "ClearAllForwardings=yes",
    "PermitLocalCommand=no",
    "RemoteCommand=none",
    "RequestTTY=no",
    "Tunnel=no",
    config.isModern && "ForkAfterAuthentication=no",
    // Host keys by our rules: `no` would accept changed ones too, `ask` would ask.
    `StrictHostKeyChecking=${(connection.strictHostKeyChecking ?? config.hostKeyPolicy) === "yes" ? "yes" : "accept-new"}`,
    "NoHostAuthenticationForLocalhost=no",
    "UpdateHostKeys=no",
    "VisualHostKey=no",
    knownHostsFile !== undefined && `UserKnownHostsFile=${files(knownHostsFile).join(" ") || "none"}`,
    // The time limit is ours; ssh's own only ends it where nobody else does.
    `ConnectTimeout=${Math.ceil(settings.timeoutMs / 1000) + 1}`,
    `ServerAliveInterval=${Math.ceil(settings.keepaliveIntervalMs / 1000)}`,
    `ServerAliveCountMax=${KEEPALIVE_COUNT}`,
    settings.questions === 0 ? "BatchMode=yes" : "BatchMode=no",
    `NumberOfPasswordPrompts=${Math.max(1, settings.questions)}`,
    !settings.forHost && "PasswordAuthentication=no",
    // Before 8.7 a host's question could look like ssh's own for a passphrase.
    (!settings.forHost || (!config.isModern && connection.passphrase !== undefined)) &&
      "KbdInteractiveAuthentication=no",
    agent === false && "IdentityAgent=none",
    typeof agent === "string" && `IdentityAgent=${quote(host, agent)}`,
    ...identities.map((path) => `IdentityFile=${path}`),
    identityFile !== undefined && identities.length === 0 && noKeyFiles(spec),
    route.jump !== null && `ProxyCommand=${JUMP_COMMAND}`,
    route.jump === null && connection.proxyJump !== undefined && "ProxyJump=none",
  ];
  return [
    ...(spec.sshConfigFile === null ? [] : ["-F", spec.sshConfigFile]),
    ...["-M", "-S", settings.socket, "-N", "-T", "-x"],
    ...options.flatMap((option) => (option === false ? [] : ["-o", option])),
    ...(user === null ? [] : ["-l", user]),
    ...(port === null ? [] : ["-p", String(port)]),
    ...["--", name.name],
  ];
}

/** Of a process on the host over such a login. It never logs in by itself: without the socket it ends. */
export function sessionArguments(socket: string, log: string, command: string): string[] {
  const options = ["LogLevel=DEBUG2", "ProxyCommand=false", "ControlMaster=no"];
  const before = ["-F", "none", "-S", socket, "-E", log, "-T", "-x"];
  return [...before, ...options.flatMap((option) => ["-o", option]), "--", "session", command];
}

/** ssh adds given keys to those of the config, and has no word for "none of them". */
function noKeyFiles({ connection }: HostSpec): string {
  return connection.agent === false ? "PubkeyAuthentication=no" : "IdentityFile=none";
}

function quote(host: string, path: string): string {
  const whole = expandHome(path);
  if (/["\\\p{Cc}]|\$\{/u.test(whole)) {
    throw new EngineFailure({
      code: "ERR_INVALID_ARGUMENT",
      host,
      message: `${host}: the transport "openssh" cannot use the path ${JSON.stringify(path)}: it holds a quote, a backslash, \${ or a control character. Rename the file, or name it in the ssh config.`,
    });
  }
  return `"${whole.replaceAll("%", "%%")}"`;
}

function asList(value: string | readonly string[]): readonly string[] {
  return typeof value === "string" ? [value] : value;
}
