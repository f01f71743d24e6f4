/** The way to a host: its ssh config, and the jump hosts before it, each with its own. */
import { EngineFailure } from "../../engine/protocol/failure";
import { parseHost, parseProxyJump, type HostName } from "../../engine/protocol/host-name";
import type { HostSpec } from "../../engine/protocol/host-spec";
import { readSshConfig, type SshConfig } from "./config";

export interface Route {
  readonly spec: HostSpec;
  readonly config: SshConfig;
  /** The way to the host that is jumped from; null: the host is reached directly. */
  readonly jump: Route | null;
}

/** Also ends what leads in a circle. */
const MAX_HOPS = 8;

/** Reads all ssh configs on the way. Rejects EngineFailure. */
export function resolveRoute(spec: HostSpec, signal: AbortSignal): Promise<Route> {
  return resolve(spec, [spec.host], signal);
}

/** Host names from the first jump host to the host itself. */
export function hostsOf(route: Route): readonly string[] {
  return [...(route.jump === null ? [] : hostsOf(route.jump)), route.spec.host];
}

async function resolve(spec: HostSpec, passed: readonly string[], signal: AbortSignal): Promise<Route> {
  const config = await readSshConfig(spec, parseHost(spec.host), signal);
  // An inaccessible jump host behind a ProxyCommand is ssh's business: it takes the one that stands first.
  const hops = config.proxyJump === null ? [] : parseProxyJump(config.proxyJump);
  const last = hops.at(-1);
  if (last === undefined) return { spec, config, jump: null };
  if (passed.length > MAX_HOPS) {
    throw new EngineFailure({
      code: "ERR_INVALID_RUNTIME",
      host: passed[0] ?? spec.host,
      message: `${passed[0] ?? spec.host}: more than ${MAX_HOPS} jump hosts, or they lead in a circle: ${[...passed].reverse().join(" → ")}. Correct ProxyJump in the ssh config.`,
    });
  }
  const jump = jumpSpec(spec, last, hops.slice(0, -1));
  return { spec, config, jump: await resolve(jump, [...passed, jump.host], signal) };
}

/**
 * As with ssh, options are about the host itself: a jump host has its own entry in the ssh config, and must never be
 * given the other's password. Of several in a list each is reached from the one before.
 */
function jumpSpec(
  { connection, promptId, sshConfigFile, traceProtocol }: HostSpec,
  hop: HostName,
  before: HostName[],
): HostSpec {
  const { agent, connectTimeoutMs, keepaliveIntervalMs } = connection;
  return {
    host: write(hop),
    transport: null,
    connection: {
      ...(agent === undefined ? {} : { agent }),
      ...(connectTimeoutMs === undefined ? {} : { connectTimeoutMs }),
      ...(keepaliveIntervalMs === undefined ? {} : { keepaliveIntervalMs }),
      ...(before.length === 0 ? {} : { proxyJump: before.map(write).join(",") }),
    },
    promptId,
    sshConfigFile,
    traceProtocol,
    // Nothing of ours runs there.
    python: "",
    loginEnv: false,
    leaseMs: 0,
  };
}

function write({ user, name, port }: HostName): string {
  const host = name.includes(":") ? `[${name}]` : name;
  return `${user === null ? "" : `${user}@`}${host}${port === null ? "" : `:${port}`}`;
}
