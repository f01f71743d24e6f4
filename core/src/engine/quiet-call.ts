/** A call without a task: no log, no journal. */
import { runCall } from "./call";
import { spoolPath } from "./journal";
import { judge, sentence } from "./judge";
import type { ObjectStore } from "./objects";
import type { Owner } from "./owner";
import { type CallResult, EngineFailure, type OwnerSpec, type Requests } from "./protocol";

export class QuietCall {
  /** Rejects EngineFailure. */
  readonly result: Promise<CallResult>;
  private readonly abort = new AbortController();

  constructor(
    private readonly request: Requests["call"]["in"],
    readonly owner: Owner,
    private readonly objects: ObjectStore,
    private readonly output: (stream: "stdout" | "stderr", data: Uint8Array) => void,
  ) {
    this.result = this.run();
  }

  /** Resolves when it has ended, by this or otherwise. */
  async cancel(): Promise<void> {
    this.abort.abort();
    await this.result.catch(() => undefined);
  }

  private async run(): Promise<CallResult> {
    const { id, owner: spec, call, agent: expected } = this.request;
    const { signal } = this.abort;
    const { agent, cwd } = await this.owner.workplace(spec.workingDir, signal);
    if (expected !== null && agent.id !== expected) throw closed(spec);
    const end = await runCall(call, {
      agent,
      processes: agent,
      cwd,
      env: {},
      tag: `${spec.id}/${id}`,
      scope: spec.id,
      signal,
      objects: this.objects,
      sessions: this.owner.sessions,
      started: () => undefined,
      output: (stream, bytes, release) => {
        // A copy: the whole memory of a view would go along.
        this.output(stream, Uint8Array.from(bytes));
        release();
      },
      progress: () => undefined,
      newFile: spoolPath,
    });
    const { failure } = judge(end, call.timeoutMs, true);
    if (!failure && end.value) return { value: end.value, agent: agent.id };
    throw new EngineFailure({
      code: failure === null ? "ERR_PYTHON" : CODES[failure.reason],
      host: agent.host,
      message: `${agent.host}: the call ${sentence(failure?.what ?? "gave no value")}`,
      ...(failure?.cause?.remoteTraceback === undefined ? {} : { remoteTraceback: failure.cause.remoteTraceback }),
      ...(end.sessionLost ? { sessionLost: true } : {}),
    });
  }
}

const CODES = {
  failed: "ERR_PYTHON",
  timeout: "ERR_TIMEOUT",
  cancelled: "ERR_CANCELLED",
  lost: "ERR_CONNECTION",
} as const;

/** Of a call for somebody who has given back what he had. */
export function closed({ host }: OwnerSpec): EngineFailure {
  const message = `${host.host}: the connection that this object lived with was closed. Make it again.`;
  return new EngineFailure({ code: "ERR_PYTHON", host: host.host, message, sessionLost: true });
}
