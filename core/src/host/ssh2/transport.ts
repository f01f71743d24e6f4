/** A host through ssh2: the ssh protocol in this process, one TCP connection per host. */

import type { Duplex } from "node:stream";
import type { HostSpec } from "../../engine/protocol/host-spec";
import { UserPrompt } from "../ssh/ask";
import { Authentication } from "./auth";
import { timedOut, type Target } from "../shared/connection-errors";
import { HostKeyVerifier } from "../ssh/host-key";
import { collectIdentities, type IdentitySettings } from "../ssh/identities";
import { openThrough } from "./jump";
import { JumpHosts } from "../ssh/jump-hosts";
import { type LoginTurn, retryDropped } from "../ssh/ramp";
import type { Route } from "../ssh/route";
import type { Lease } from "../shared/lease";
import { Ssh2Connection } from "./connection";
import { logIn, openSocket, type LoginSettings } from "./login";
import { loadSsh2 } from "../ssh/ssh2-module";
import type { SshConfig } from "../ssh/config";
import { expandHome } from "../ssh/config-paths";
import { DEFAULT_KEEPALIVE_MS, DEFAULT_TIMEOUT_MS, type ConnectContext } from "../shared/transport";
import { bounded, Pausable } from "../shared/within";

const jumpHosts = new JumpHosts<Ssh2Connection>(connectWithin, warmUp);

/** Logs in, on the jump hosts first. Rejects EngineFailure. */
export function connectSsh2(route: Route, context: ConnectContext): Promise<Ssh2Connection> {
  // Loaded while others are waited for; a failure is met again below.
  void loadSsh2().catch(() => undefined);
  return jumpHosts.connect(route, context);
}

/** sshd holds small packets back for 40 ms until a connection has had a session. A host that allows none is fine too. */
function warmUp(connection: Ssh2Connection): void {
  connection.exec("true").then(
    ({ stdin, stdout, stderr }) => {
      stdin.end();
      stdout.resume();
      stderr.resume();
    },
    () => undefined,
  );
}

/** The time limit counts from here: neither a queue, nor `ssh -G`, nor a jump host is the host's fault. */
function connectWithin(
  route: Route,
  jump: Lease<Ssh2Connection> | null,
  context: ConnectContext,
  turn: LoginTurn,
): Promise<Ssh2Connection> {
  const { spec, config } = route;
  const target: Target = { host: spec.host, address: config.hostname, port: config.port, user: config.user };
  const timeoutMs = spec.connection.connectTimeoutMs ?? config.connectTimeoutMs ?? DEFAULT_TIMEOUT_MS;
  const limit = new Pausable(timeoutMs);
  let unfinished = "";
  const onPhase = (what: string): void => void (unfinished = what);
  return bounded(
    limit,
    (stop) => logInAnew(route, target, jump, { context, limit, stop, onPhase, turn }),
    () => timedOut(target, timeoutMs, unfinished),
    { signal: context.signal, host: spec.host },
  );
}

interface Attempt {
  readonly context: ConnectContext;
  readonly limit: Pausable;
  readonly stop: AbortController;
  readonly onPhase: LoginSettings["onPhase"];
  readonly turn: LoginTurn;
}

async function logInAnew(
  { spec, config }: Route,
  target: Target,
  jump: Lease<Ssh2Connection> | null,
  { context, limit, stop, onPhase, turn }: Attempt,
): Promise<Ssh2Connection> {
  const { connection } = spec;
  const verifier = createVerifier(spec, config, target, context);
  const keepaliveIntervalMs = connection.keepaliveIntervalMs ?? config.serverAliveIntervalMs ?? DEFAULT_KEEPALIVE_MS;
  const settings: LoginSettings = {
    target,
    addressFamily: config.addressFamily,
    bindAddress: config.bindAddress,
    keepaliveIntervalMs,
    verifier,
    trace: context.traceProtocol === true ? (line) => context.log("debug", `${spec.host}: ${line}`) : null,
    onPhase,
  };
  const waiting = <W>(work: () => Promise<W>): Promise<W> => limit.pausedFor(work);
  const asker = context.prompt === null ? null : new UserPrompt(target, context.prompt, waiting, stop.signal);
  const ssh2 = await loadSsh2();
  const prepared = Promise.all([
    verifier.prepare(stop.signal),
    collectIdentities(ssh2, identitySettings(spec, config), asker),
  ]);
  prepared.then(
    ([, { notes }]) => notes.forEach((note) => context.log("debug", `${spec.host}: not used: ${note}`)),
    (error: unknown) => stop.abort(error), // no need to wait for TCP any more
  );
  const login = await retryDropped(target, stop.signal, waiting, async () => {
    onPhase("did not answer");
    const opening: Promise<Duplex> = jump
      ? openThrough(jump.value, target, stop.signal)
      : openSocket(settings, stop.signal);
    const opened = turn.whileSilent(opening).then(async (socket) => {
      await waiting(() => turn.resume(stop.signal));
      return socket;
    });
    const [socket, [algorithms, identities]] = await Promise.all([opened, prepared]).catch((error: unknown) => {
      void opening.then(
        (socket) => socket.destroy(),
        () => undefined,
      );
      throw error;
    });
    const authentication = new Authentication(
      ssh2,
      target,
      { password: connection.password ?? null, methods: config.methods, preferredMethods: config.preferredMethods },
      identities,
      asker,
    );
    return logIn(ssh2, socket, settings, algorithms, authentication, stop.signal);
  });
  return new Ssh2Connection(target, login, keepaliveIntervalMs, context.log, jump && (() => jump.release()));
}

function createVerifier(spec: HostSpec, config: SshConfig, target: Target, context: ConnectContext): HostKeyVerifier {
  const { knownHostsFile, strictHostKeyChecking } = spec.connection;
  return new HostKeyVerifier(
    target,
    {
      policy: strictHostKeyChecking ?? config.hostKeyPolicy,
      userFiles: knownHostsFile === undefined ? config.userKnownHostsFiles : asList(knownHostsFile).map(expandHome),
      globalFiles: config.globalKnownHostsFiles,
      hostKeyAlias: config.hostKeyAlias,
      algorithms: config.hostKeyAlgorithms,
      hashNames: config.hashKnownHosts,
    },
    context.log,
  );
}

function identitySettings(spec: HostSpec, config: SshConfig): IdentitySettings {
  const { identityFile, agent, passphrase } = spec.connection;
  const configured = config.identityAgent === undefined ? process.env["SSH_AUTH_SOCK"] : config.identityAgent;
  const agentSocket = agent === false ? null : typeof agent === "string" ? expandHome(agent) : configured;
  return {
    files: identityFile === undefined ? config.identityFiles : asList(identityFile).map(expandHome),
    filesAreGiven: identityFile !== undefined,
    identitiesOnly: config.identitiesOnly,
    agentSocket: agentSocket === undefined || agentSocket === "" ? null : agentSocket,
    passphrase: passphrase ?? null,
  };
}

function asList(value: string | readonly string[]): readonly string[] {
  return typeof value === "string" ? [value] : value;
}
