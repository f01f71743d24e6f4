/** From a connected host to a speaking agent: writes the bootstrap, skips what the login prints, reads the marker. */
import { EngineFailure, type ErrorCode, type HostSpec } from "../engine/protocol";
import { MAX_NOISE, encodeFrameHead } from "../wire";
import { agentBundle } from "./agent-bundle";
import { firstOutcome } from "./first-outcome";
import type { HostConnection, ProcessExit, RemoteProcess } from "./transport";

const MARKER = Buffer.from("\0\x01lazycluster-agent/1\x02\n", "latin1");
const NO_INTERPRETER = "lazycluster: no interpreter";
const NOT_THERE = "lazycluster: not there";
const GONE = "the detached task is not there any more: it was ended, or its host was started anew.";
const OLD_PYTHON = /lazycluster: old python (\d+\.\d+\.\d+)/;
/** [bytes] of foreign output that an error message shows. */
const SHOWN = 300;
/** [ms] for which output is awaited after the end. */
const LAST_WORDS_MS = 500;

/** What to start: an agent that ends with its connection, or one that does not, or the way to such a one. */
export type AgentMode =
  | { readonly kind: "agent" }
  /** @param name letters, digits and hyphens; nobody else may ever have had it. */
  | { readonly kind: "detach" | "attach"; readonly name: string };

export const ATTACHED: AgentMode = { kind: "agent" };

export interface StartedAgent {
  readonly process: RemoteProcess;
  /** What came behind the marker already. */
  readonly rest: Buffer;
}

/**
 * Starts the agent. Rejects EngineFailure: no interpreter, an old one, a login that runs nothing, or silence for
 * `timeoutMs`; ERR_TASK_LOST when there is nothing of that name to attach to.
 */
export async function startAgent(
  connection: HostConnection,
  spec: HostSpec,
  mode: AgentMode,
  timeoutMs: number,
  signal: AbortSignal,
): Promise<StartedAgent> {
  const { command, bundle } = agentBundle();
  const process = await openWithin(connection, command, timeoutMs, signal);
  // A write to a process that is gone already is reported by what it printed, not by EPIPE.
  process.stdin.on("error", () => undefined);
  let words = "";
  process.stderr.on("data", (bytes: Buffer) => (words = (words + bytes.toString("latin1")).slice(-2048)));
  const hello = encodeFrameHead({ op: "hello", v: 1, lease: spec.leaseMs, loginEnv: spec.loginEnv });
  process.stdin.write(
    Buffer.concat([
      Buffer.from(`${spec.python}\n${String(bundle.length)}\n`, "utf8"),
      bundle,
      Buffer.from(mode.kind === "agent" ? "agent\n" : `${mode.kind} ${mode.name}\n`, "latin1"),
      hello,
    ]),
  );
  const failure = (message: string, code: ErrorCode = "ERR_INVALID_RUNTIME"): EngineFailure =>
    new EngineFailure({ code, host: spec.host, message: `${spec.host}: ${message}` });
  let seen: Buffer = Buffer.alloc(0);
  const tooLate = (): EngineFailure =>
    failure(
      `the agent did not start within ${String(timeoutMs)} ms. ` +
        `Does a command such as \`ssh ${spec.host} true\` end there?${printed(seen, words)}`,
    );
  const marked = firstOutcome<StartedAgent>({ host: spec.host, signal, timeoutMs, tooLate }, (resolve, reject) => {
    const onData = (piece: Buffer): void => {
      seen = seen.length === 0 ? piece : Buffer.concat([seen, piece]);
      const at = seen.indexOf(MARKER);
      if (at >= 0) {
        process.stdout.pause();
        resolve({ process, rest: seen.subarray(at + MARKER.length) });
      } else if (seen.length > MAX_NOISE) {
        const what =
          `its login prints more than ${String(MAX_NOISE)} bytes before any command runs, so the agent cannot be heard. ` +
          `Silence the shell's start-up files for sessions without a terminal. It begins with: ${show(seen)}`;
        reject(failure(what));
      }
    };
    process.stdout.on("data", onData);
    process.stdout.resume();
    void process.exited.then(async (exit) => {
      await outputEnded(process);
      const gone = seen.includes(NOT_THERE);
      reject(gone ? failure(GONE, "ERR_TASK_LOST") : failure(explainEnd(spec.python, exit, seen, words)));
    });
    return () => process.stdout.off("data", onData);
  });
  return marked.catch((error: unknown) => {
    process.kill();
    throw error;
  });
}

function explainEnd(python: string, { code, signal }: ProcessExit, seen: Buffer, words: string): string {
  const text = seen.toString("latin1");
  const old = OLD_PYTHON.exec(text);
  if (text.includes(NO_INTERPRETER)) {
    return (
      `no interpreter \`${python}\` was found there. Install Python 3.8 or newer on the host, ` +
      `or name one with the option \`python\`, such as { python: "/opt/python/bin/python3" }.`
    );
  }
  if (old) {
    return (
      `\`${python}\` is Python ${old[1] ?? ""}, which is too old: 3.8 or newer is needed. ` +
      `Name a newer interpreter of the host with the option \`python\`.`
    );
  }
  const how = signal === null ? `status ${String(code)}` : signal;
  return (
    `its login shell ended (${how}) without starting the agent. ` +
    `Is the account allowed to run commands?${printed(seen, words)}`
  );
}

/** A host may go on answering, and never open the channel. The connection is its owner's to close. */
async function openWithin(
  connection: HostConnection,
  command: string,
  timeoutMs: number,
  signal: AbortSignal,
): Promise<RemoteProcess> {
  const { host } = connection;
  const opening = connection.exec(command);
  const message = `${host}: it let us log in, but opened no session within ${String(timeoutMs)} ms. Look at its sshd's log.`;
  const tooLate = (): EngineFailure => new EngineFailure({ code: "ERR_INVALID_RUNTIME", host, message });
  try {
    return await firstOutcome({ host, signal, timeoutMs, tooLate }, (resolve, reject) => {
      opening.then(resolve, reject);
      return () => undefined;
    });
  } catch (error) {
    opening.then(
      (process) => process.kill(),
      () => undefined,
    );
    throw error;
  }
}

/** Its last words may follow its end. */
async function outputEnded(process: RemoteProcess): Promise<void> {
  if (process.stdout.readableEnded || process.stdout.destroyed) return;
  await new Promise<void>((resolve) => {
    process.stdout.once("end", resolve).once("close", resolve);
    setTimeout(resolve, LAST_WORDS_MS);
  });
}

function printed(stdout: Buffer, stderr: string): string {
  const text = `${stdout.toString("latin1")}${stderr}`.trim();
  return text === "" ? " It printed nothing." : ` It printed: ${show(Buffer.from(text, "latin1"))}`;
}

/** Foreign bytes as one harmless line. */
function show(bytes: Buffer): string {
  const text = bytes.subarray(0, SHOWN).toString("utf8");
  return JSON.stringify(text) + (bytes.length > SHOWN ? "…" : "");
}
