/** From a connected host to a speaking agent: writes the bootstrap, skips what the login prints, reads the marker. */
import { EngineFailure, type ErrorCode, type HostSpec } from "../../engine/protocol";
import { MAX_NOISE, encodeFrameHead } from "../../wire";
import { agentBundle } from "./bundle";
import type { HostConnection, ProcessExit, RemoteProcess } from "../shared/transport";
import { within } from "../shared/within";

const MARKER = Buffer.from("\0\x01lazycluster-agent/1\x02\n", "latin1");
/** What our command prints before anything else: the login shell's start-up files are through. */
const HERE = "lazycluster: here";
/** Any shell knows it. */
const SAY_HERE = `echo ${HERE}`;
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

/** One attempt: what it has to say, and how far it came. */
interface Attempt {
  readonly connection: HostConnection;
  readonly spec: HostSpec;
  readonly mode: AgentMode;
  readonly signal: AbortSignal;
  /** [ms] for all attempts. */
  readonly timeoutMs: number;
  /** By the monotonic clock. */
  readonly deadline: number;
}

/**
 * Starts the agent. Rejects EngineFailure: no interpreter, an old one, a login that runs nothing, or silence for
 * `timeoutMs`; ERR_CONNECTION when the connection is lost meanwhile; ERR_TASK_LOST when there is nothing of that name to attach to.
 */
export async function startAgent(
  connection: HostConnection,
  spec: HostSpec,
  mode: AgentMode,
  timeoutMs: number,
  signal: AbortSignal,
): Promise<StartedAgent> {
  const deadline = performance.now() + timeoutMs;
  const attempt = { connection, spec, mode, signal, timeoutMs, deadline };
  try {
    return await new Start(attempt, false).run();
  } catch (error) {
    if (!(error instanceof NoInterpreter)) throw error;
    // A start-up file that reads its input takes our first lines, the interpreter's name among them. Then we wait until it is through.
    return new Start(attempt, true).run();
  }
}

class NoInterpreter extends EngineFailure {}

class Start {
  private seen: Buffer = Buffer.alloc(0);
  private words = "";

  /** @param patient says nothing before the shell has come to our command. */
  constructor(
    private readonly attempt: Attempt,
    private readonly patient: boolean,
  ) {}

  /** Rejects NoInterpreter only when it is not patient. */
  async run(): Promise<StartedAgent> {
    const { signal, spec } = this.attempt;
    const process = await this.open();
    // A write to a process that is gone already is reported by what it printed, not by EPIPE.
    process.stdin.on("error", () => undefined);
    process.stderr.on("data", (bytes: Buffer) => (this.words = (this.words + bytes.toString("latin1")).slice(-2048)));
    let told = !this.patient;
    if (told) this.tell(process);
    let onData: (piece: Buffer) => void = () => undefined;
    const marked = new Promise<StartedAgent>((resolve, reject) => {
      onData = (piece) => {
        this.seen = this.seen.length === 0 ? piece : Buffer.concat([this.seen, piece]);
        const at = this.seen.indexOf(MARKER);
        if (at >= 0) {
          process.stdout.pause();
          resolve({ process, rest: this.seen.subarray(at + MARKER.length) });
        } else if (this.seen.length > MAX_NOISE) reject(this.noise());
        if (told || !this.seen.includes(HERE)) return;
        told = true;
        this.tell(process);
      };
      process.stdout.on("data", onData);
      process.stdout.resume();
      void process.exited.then(async (exit) => {
        await outputEnded(process);
        reject(await this.explainEnd(exit));
      });
    });
    try {
      const late = (): never => {
        throw this.tooLate();
      };
      return await within(this.left(), marked, late, { signal, host: spec.host });
    } catch (error) {
      process.kill();
      throw error;
    } finally {
      process.stdout.off("data", onData);
    }
  }

  private left(): number {
    return Math.max(1, this.attempt.deadline - performance.now());
  }

  private tell(process: RemoteProcess): void {
    const { spec, mode } = this.attempt;
    const { bundle } = agentBundle();
    process.stdin.write(
      Buffer.concat([
        Buffer.from(`${spec.python}\n${String(bundle.length)}\n`, "utf8"),
        bundle,
        Buffer.from(mode.kind === "agent" ? "agent\n" : `${mode.kind} ${mode.name}\n`, "latin1"),
        encodeFrameHead({ op: "hello", v: 1, lease: spec.leaseMs, loginEnv: spec.loginEnv }),
      ]),
    );
  }

  /** A host may go on answering, and never open the channel. The connection is its owner's to close. */
  private async open(): Promise<RemoteProcess> {
    const { connection, signal, timeoutMs } = this.attempt;
    const opening = connection.exec(`${SAY_HERE}; ${agentBundle().command}`);
    const late = (): never => {
      throw this.failure(
        `it let us log in, but opened no session within ${String(timeoutMs)} ms. Look at its sshd's log; a slow host needs a larger connectTimeoutMs.`,
      );
    };
    try {
      return await within(this.left(), opening, late, { signal, host: connection.host });
    } catch (error) {
      opening.then(
        (process) => process.kill(),
        () => undefined,
      );
      throw error;
    }
  }

  private failure(message: string, code: ErrorCode = "ERR_INVALID_RUNTIME"): EngineFailure {
    const { host } = this.attempt.spec;
    return new EngineFailure({ code, host, message: `${host}: ${message}` });
  }

  private noise(): EngineFailure {
    return this.failure(
      `its login prints more than ${String(MAX_NOISE)} bytes before any command runs, so the agent cannot be heard. ` +
        `Silence the shell's start-up files for sessions without a terminal. It begins with: ${show(this.seen)}`,
    );
  }

  private tooLate(): EngineFailure {
    const { spec, timeoutMs } = this.attempt;
    const when = `the agent did not start within ${String(timeoutMs)} ms`;
    if (this.seen.includes(HERE)) {
      return this.failure(
        `${when}: its login shell was through, and \`${spec.python}\` was still starting. ` +
          `Does \`ssh ${spec.host} ${spec.python} -c pass\` end there? A slow host needs a larger connectTimeoutMs.${this.printed()}`,
      );
    }
    const input = this.patient ? " One of them reads its input: it may wait for a line." : "";
    return this.failure(
      `${when}: its login shell was still in its start-up files (such as ~/.bashrc), and had not come to our command.${input} ` +
        `Does \`ssh ${spec.host} true\` end there? Something in them may wait, for a lock or for input; ` +
        `where they only are slow, give a larger connectTimeoutMs.${this.printed()}`,
    );
  }

  private async explainEnd(exit: ProcessExit): Promise<EngineFailure> {
    if (this.seen.includes(NOT_THERE)) return this.failure(GONE, "ERR_TASK_LOST");
    const { spec, connection } = this.attempt;
    const { python } = spec;
    const text = this.seen.toString("latin1");
    if (text.includes(NO_INTERPRETER)) {
      const message =
        `no interpreter \`${python}\` was found there. Install Python 3.6 or newer on the host, ` +
        `or name one with the option \`python\`, such as { python: "/opt/python/bin/python3" }.`;
      const { data } = this.failure(message);
      return this.patient || !this.seen.includes(HERE) ? new EngineFailure(data) : new NoInterpreter(data);
    }
    const old = OLD_PYTHON.exec(text);
    if (old) {
      return this.failure(
        `\`${python}\` is Python ${old[1] ?? ""}, which is too old: 3.6 or newer is needed. ` +
          `Name a newer interpreter of the host with the option \`python\`.`,
      );
    }
    const broken = await lossBehind(connection, exit);
    if (broken) return this.failure(`the connection broke while the agent started: ${broken}`, "ERR_CONNECTION");
    return this.failure(
      `its login shell ended (${howItEnded(exit)}) without starting the agent. ` +
        `Is the account allowed to run commands?${this.printed()}`,
    );
  }

  private printed(): string {
    const text = `${this.seen.toString("latin1").replace(`${HERE}\n`, "")}${this.words}`.trim();
    return text === "" ? " It printed nothing." : ` It printed: ${show(Buffer.from(text, "latin1"))}`;
  }
}

/**
 * A process whose status never came may have ended with the connection, which is told a moment later. What ended that, or null: it is
 * there still.
 */
export async function lossBehind(connection: HostConnection, { code, signal }: ProcessExit): Promise<string | null> {
  if (code !== null || signal !== null) return null;
  const gone = connection.closed.then((why) => why?.message ?? `${connection.host}: the connection was closed.`);
  return within(LAST_WORDS_MS, gone, () => null);
}

function howItEnded({ code, signal }: ProcessExit): string {
  if (signal !== null) return signal;
  return code === null ? "by a signal" : `status ${String(code)}`;
}

/** Its last words may follow its end. */
async function outputEnded(process: RemoteProcess): Promise<void> {
  if (process.stdout.readableEnded || process.stdout.destroyed) return;
  const ended = new Promise<void>((resolve) => process.stdout.once("end", resolve).once("close", resolve));
  await within(LAST_WORDS_MS, ended, () => undefined);
}

/** Foreign bytes as one harmless line. */
function show(bytes: Buffer): string {
  const text = bytes.subarray(0, SHOWN).toString("utf8");
  return JSON.stringify(text) + (bytes.length > SHOWN ? "…" : "");
}
