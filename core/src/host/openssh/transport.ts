/** A host through the system's ssh, for all that it can: certificates, hardware keys, ProxyCommand, Kerberos, … */
import { join } from "node:path";
import { harmless } from "../shared/harmless";
import { UserPrompt } from "../ssh/ask";
import { timedOut, type Target } from "../shared/connection-errors";
import { JumpHosts } from "../ssh/jump-hosts";
import { Askpass, QUESTIONS } from "./askpass";
import { OpenSshConnection } from "./connection";
import { explainOpenSsh, hasAnswered, unfinished } from "./errors";
import { Master } from "./master";
import { JUMP_VARIABLE, masterArguments } from "./options";
import { type LoginTurn, retryDropped } from "../ssh/ramp";
import type { Route } from "../ssh/route";
import type { Lease } from "../shared/lease";
import { expandHome } from "../ssh/config-paths";
import { DEFAULT_KEEPALIVE_MS, DEFAULT_TIMEOUT_MS, type ConnectContext } from "../shared/transport";
import { bounded, Pausable } from "../shared/within";

const jumpHosts = new JumpHosts<OpenSshConnection>(connectWithin);

/** Logs in, on the jump hosts first. Rejects EngineFailure. */
export function connectOpenSsh(route: Route, context: ConnectContext): Promise<OpenSshConnection> {
  return jumpHosts.connect(route, context);
}

/** The time limit counts from here: neither a queue, nor `ssh -G`, nor a jump host is the host's fault. */
async function connectWithin(
  route: Route,
  jump: Lease<OpenSshConnection> | null,
  context: ConnectContext,
  turn: LoginTurn,
): Promise<OpenSshConnection> {
  const { config, spec } = route;
  const target: Target = { host: spec.host, address: config.hostname, port: config.port, user: config.user };
  const timeoutMs = spec.connection.connectTimeoutMs ?? config.connectTimeoutMs ?? DEFAULT_TIMEOUT_MS;
  const words: { current: () => string } = { current: () => "" };
  const limit = new Pausable(timeoutMs);
  const waiting = <W>(work: () => Promise<W>): Promise<W> => limit.pausedFor(work);
  return bounded(
    limit,
    (stop) =>
      retryDropped(target, stop.signal, waiting, () =>
        logIn(route, target, jump, { context, timeoutMs, stop, waiting, words, turn }),
      ),
    () => timedOut(target, timeoutMs, unfinished(words.current())),
    { signal: context.signal, host: spec.host },
  );
}

interface Attempt {
  readonly context: ConnectContext;
  readonly timeoutMs: number;
  readonly stop: AbortController;
  readonly waiting: <W>(work: () => Promise<W>) => Promise<W>;
  /** Of the ssh that runs, as far as it has come. */
  readonly words: { current: () => string };
  readonly turn: LoginTurn;
}

/** Once. Rejects EngineFailure or DroppedUnheard, with nothing left. */
async function logIn(
  route: Route,
  target: Target,
  jump: Lease<OpenSshConnection> | null,
  { context, timeoutMs, stop, waiting, words, turn }: Attempt,
): Promise<OpenSshConnection> {
  const { config, spec } = route;
  const { password, passphrase, knownHostsFile, strictHostKeyChecking, agent } = spec.connection;
  const { log } = context;
  const keepaliveIntervalMs =
    spec.connection.keepaliveIntervalMs ?? config.serverAliveIntervalMs ?? DEFAULT_KEEPALIVE_MS;
  const asker = context.prompt === null ? null : new UserPrompt(target, context.prompt, waiting, stop.signal);
  const given = password === undefined && passphrase === undefined ? 0 : 1;
  const questions = given + (asker === null ? 0 : QUESTIONS);
  const [userFile = "~/.ssh/known_hosts"] =
    knownHostsFile === undefined ? config.userKnownHostsFiles : [knownHostsFile].flat().map(expandHome);

  const master = await Master.create();
  words.current = () => master.stderr;
  let askpass: Askpass | null = null;
  const onAbort = (): void => void master.stop();
  try {
    const args = masterArguments(route, {
      socket: master.socket,
      questions,
      forHost: password !== undefined || asker !== null,
      timeoutMs,
      keepaliveIntervalMs,
      trace: context.traceProtocol === true,
    });
    if (questions > 0) {
      askpass = await Askpass.start(join(master.folder, "a"), {
        target,
        names: [target.address, ...(config.hostKeyAlias === null ? [] : [config.hostKeyAlias])],
        alone: jump !== null || config.proxyCommand === null,
        password: password ?? null,
        passphrase: passphrase ?? null,
        asker,
        words: words.current,
        log,
        onFailure: (failure) => stop.abort(failure),
      });
    }
    stop.signal.throwIfAborted();
    stop.signal.addEventListener("abort", onAbort, { once: true });
    const environment = environmentOf(agent, askpass, jump?.value ?? null);
    let heard: () => void = () => undefined;
    const answered = new Promise<void>((resolve) => (heard = resolve));
    const trace = (text: string): void => {
      if (hasAnswered(text)) heard();
      if (context.traceProtocol === true) log("debug", `${spec.host}: ${text.trimEnd()}`);
    };
    const ended = master.start(args, environment, trace);
    void ended.then(heard, heard);
    // It does not wait for us before it goes on, so there is nothing to be resumed.
    void turn.whileSilent(answered);
    const standing = await ended;
    stop.signal.throwIfAborted();
    if (!standing) {
      throw explainOpenSsh(master.stderr, {
        target,
        jump: jump && { host: jump.value.host, stderr: harmless(jump.value.master.stderr) },
        byProxyCommand: jump === null && config.proxyCommand !== null,
        userKnownHostsFile: userFile,
        hostKeyAlias: config.hostKeyAlias,
        notes: askpass?.notes ?? [],
        silent: asker === null && passphrase === undefined,
      });
    }
    reportNewKey(spec.host, master.stderr, (strictHostKeyChecking ?? config.hostKeyPolicy) === "no", log);
    return new OpenSshConnection(target, master, keepaliveIntervalMs, jump && (() => jump.release()));
  } catch (error) {
    await master.stop();
    throw error;
  } finally {
    stop.signal.removeEventListener("abort", onAbort);
    askpass?.stop();
  }
}

/** Jump hosts, and what a ProxyCommand starts, see it too. */
function environmentOf(
  agent: string | false | undefined,
  askpass: Askpass | null,
  jump: OpenSshConnection | null,
): NodeJS.ProcessEnv {
  const environment: NodeJS.ProcessEnv = { ...process.env, ...(jump && { [JUMP_VARIABLE]: jump.master.socket }) };
  if (agent === false) delete environment["SSH_AUTH_SOCK"];
  if (askpass !== null) return { ...environment, ...askpass.environment };
  // No window of the desktop may open where nobody is to be asked.
  delete environment["SSH_ASKPASS"];
  return { ...environment, SSH_ASKPASS_REQUIRE: "never" };
}

function reportNewKey(host: string, stderr: string, isOff: boolean, log: ConnectContext["log"]): void {
  const stored = /^Warning: (Permanently added .*?)\.?\r?$/m.exec(stderr)?.[1];
  if (stored === undefined) return;
  if (isOff) {
    log("warn", `${host}: StrictHostKeyChecking is off; new host keys are stored, changed ones refused all the same.`);
  }
  log("info", `${host}: new host key: ${stored}.`);
}
