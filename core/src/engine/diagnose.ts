/** `doctor`: the way to a host step by step, each with what was found and what to do about it. */
import { lookup } from "dns/promises";
import { isIP } from "net";
import { AgentClient, type PoolContext, type Route, connectHost, reach, resolveRoute, within } from "../host";
import { askFacts } from "./facts";
import { type Finding, type HostSpec, type OwnerSpec, toFailureData } from "./protocol";

/** [bytes] below which a disk is worth a warning. */
const LITTLE_DISK = 1024 ** 3;
/** [ms] by which a clock may be wrong; certificates and file times suffer beyond. */
const CLOCK_MS = 5000;
const NAME_MS = 5000;

type Check = Finding["check"];

/** The findings so far, and how long each took. */
class Findings {
  readonly all: Finding[] = [];

  constructor(private readonly host: string) {}

  add(check: Check, state: Finding["state"], text: string, advice: string | null, since: number): void {
    this.all.push({ check, state, text, advice, durationMs: Math.round(performance.now() - since) });
  }

  /** The message of a failure says what to do; the host is known here. */
  failed(check: Check, error: unknown, since: number): void {
    const { message } = toFailureData(error, this.host);
    this.add(check, "failed", message.replace(`${this.host}: `, ""), null, since);
  }
}

/** Never rejects for the host's sake. */
export async function diagnose(
  { host: spec, workingDir }: OwnerSpec,
  context: PoolContext,
  signal: AbortSignal,
): Promise<readonly Finding[]> {
  const findings = new Findings(spec.host);
  if (await checkWay(spec, findings, signal)) {
    const agent = await logIn(spec, findings, context, signal);
    if (agent) {
      try {
        await checkHost(agent, spec, workingDir, findings, signal);
      } finally {
        await agent.close();
      }
    }
  }
  return findings.all;
}

/** False when it ends there. */
async function checkWay(spec: HostSpec, findings: Findings, signal: AbortSignal): Promise<boolean> {
  if (spec.transport === "local" || (spec.transport === null && spec.host === "localhost")) {
    findings.add("network", "ok", "this machine, without ssh", null, performance.now());
    return true;
  }
  let since = performance.now();
  let route: Route;
  try {
    route = await resolveRoute(spec, signal);
  } catch (error) {
    findings.failed("ssh config", error, since);
    return false;
  }
  const { hostname, port, user, proxyCommand } = route.config;
  const by = route.jump ? ` by way of ${route.jump.spec.host}` : proxyCommand === null ? "" : " by a ProxyCommand";
  findings.add("ssh config", "ok", `${user} at ${hostname}, port ${String(port)}${by}`, null, since);
  // Behind another host the name and the network are that one's.
  if (route.jump || proxyCommand !== null) return true;
  since = performance.now();
  if (isIP(hostname) === 0) {
    try {
      const late = (): never => {
        throw new Error("no answer");
      };
      const { address } = await within(NAME_MS, lookup(hostname), late, { signal, host: spec.host });
      findings.add("name", "ok", `${hostname} is ${address}`, null, since);
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      const advice = `Correct HostName of ${spec.host} in the ssh config, or the name service of this machine.`;
      findings.add("name", "failed", `the name ${hostname} cannot be resolved (${why})`, advice, since);
      return false;
    }
  }
  since = performance.now();
  try {
    const ms = await reach(route, signal);
    findings.add("network", "ok", `port ${String(port)} answers within ${String(Math.round(ms))} ms`, null, since);
  } catch (error) {
    findings.failed("network", error, since);
    return false;
  }
  return true;
}

async function logIn(
  spec: HostSpec,
  findings: Findings,
  context: PoolContext,
  signal: AbortSignal,
): Promise<AgentClient | null> {
  let since = performance.now();
  const { promptId, traceProtocol } = spec;
  try {
    const connection = await connectHost(spec, {
      signal,
      prompt: promptId === null ? null : (request) => context.prompt(promptId, request),
      log: (level, message) => context.log(level, message),
      traceProtocol,
    });
    if (connection.transport !== "local") {
      findings.add("host key", "ok", "it is the one that is known", null, since);
      findings.add("login", "ok", `by ${connection.transport}`, null, since);
    }
    since = performance.now();
    const agent = await AgentClient.start(connection, spec, signal);
    const { user, hostname, system } = agent.info;
    findings.add("agent", "ok", `runs as ${user} on ${hostname} (${system})`, null, since);
    const { pythonVersion, implementation, executable } = agent.info;
    findings.add("python", "ok", `${implementation} ${pythonVersion}, ${executable}`, null, since);
    return agent;
  } catch (error) {
    findings.failed(failedCheck(error, findings), error, since);
    return null;
  }
}

/** How far it came. */
function failedCheck(error: unknown, { all }: Findings): Check {
  const { code, message } = toFailureData(error);
  if (all.some(({ check }) => check === "login") || all.every(({ check }) => check === "network")) {
    return /interpreter|Python/.test(message) ? "python" : "agent";
  }
  return code === "ERR_HOST_KEY" ? "host key" : "login";
}

async function checkHost(
  agent: AgentClient,
  spec: HostSpec,
  workingDir: OwnerSpec["workingDir"],
  findings: Findings,
  signal: AbortSignal,
): Promise<void> {
  let since = performance.now();
  try {
    const asked = Date.now();
    const { facts } = await askFacts(agent, workingDir, signal);
    const free = `${gib(facts.diskFree)} of ${gib(facts.diskTotal)} GiB are free`;
    if (facts.diskFree >= LITTLE_DISK) findings.add("disk", "ok", free, null, since);
    else {
      const where = workingDir.kind === "temporary" ? "its temporary folder (TMPDIR, else /tmp)" : workingDir.path;
      const advice = `Free some space in ${where}, or name another folder with the option workingDir.`;
      findings.add("disk", "warning", free, advice, since);
    }
    checkClock(facts.time, asked, Date.now(), findings, since);
  } catch (error) {
    findings.failed("disk", error, since);
  }
  if (spec.transport === "local" || !agent.tunnels) return;
  since = performance.now();
  try {
    // Nobody listens on port 1: being refused by the service is what is allowed.
    const outcome = await agent.tunnels.dial(1);
    if (outcome.kind === "open") outcome.stream.destroy();
    if (outcome.kind !== "forbidden") findings.add("forwarding", "ok", "its sshd passes ports on", null, since);
    else {
      const advice =
        "Ports work all the same, through the agent. AllowTcpForwarding yes in its sshd_config makes them faster.";
      findings.add("forwarding", "warning", "its sshd passes no ports on", advice, since);
    }
  } catch (error) {
    findings.failed("forwarding", error, since);
  }
}

/** Its answer lies somewhere between the two moments. */
function checkClock(theirs: number, asked: number, answered: number, findings: Findings, since: number): void {
  const ahead = theirs > answered ? theirs - answered : theirs < asked ? theirs - asked : 0;
  if (Math.abs(ahead) <= CLOCK_MS) {
    findings.add("clock", "ok", "agrees with ours", null, since);
    return;
  }
  const seconds = (Math.abs(ahead) / 1000).toFixed(0);
  const advice = "Set it (for example by systemd-timesyncd or chrony): syncing folders compares times.";
  findings.add("clock", "warning", `is ${seconds} s ${ahead > 0 ? "ahead of" : "behind"} ours`, advice, since);
}

function gib(bytes: number): string {
  return (bytes / 1024 ** 3).toFixed(1);
}
