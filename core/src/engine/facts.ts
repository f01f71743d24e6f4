/** What a host has, asked of its agent. */
import { type AgentClient, agentFailure, harmless, within } from "../host";
import { type Header, WireError } from "../wire";
import { EngineFailure, type ErrorCode, type HostFacts, type WorkingDirSpec } from "./protocol";

/** [ms] for the answer: GPU tools may take 10 s there. */
const ANSWER_MS = 20_000;

export interface AnsweredFacts {
  readonly facts: HostFacts;
  /** What could not be found out, for the log. */
  readonly notes: readonly string[];
}

/** Rejects EngineFailure; ERR_TIMEOUT when the host does not answer. */
export async function askFacts(
  agent: AgentClient,
  workingDir: WorkingDirSpec,
  signal: AbortSignal,
): Promise<AnsweredFacts> {
  // The disk that counts is that of the steps' files.
  const path = workingDir.kind === "temporary" ? "" : workingDir.path;
  const late = (): never => {
    const seconds = String(ANSWER_MS / 1000);
    throw failure(agent.host, "ERR_TIMEOUT", `the host did not say within ${seconds} s what it has. Try again.`);
  };
  const answer = agent.ask("facts", { path }, (error) => agentFailure(agent.host, error));
  try {
    return read(await within(ANSWER_MS, answer, late, { signal, host: agent.host }), agent.info.pythonVersion);
  } catch (error) {
    if (error instanceof WireError)
      throw failure(agent.host, "ERR_OTHER", `its agent broke the protocol (${error.message}).`);
    throw error;
  }
}

/** Throws WireError: nothing that a host sends is trusted. */
function read(done: Header, pythonVersion: string): AnsweredFacts {
  const cpuCores = done.number("cores");
  if (cpuCores <= 0) throw new WireError("a host without processors");
  const facts: HostFacts = {
    os: harmless(done.text("os")),
    cpuCores,
    memory: done.integer("memory"),
    memoryAvailable: done.integer("available"),
    loadAverage: done.numberList("load"),
    diskTotal: done.integer("diskTotal"),
    diskFree: done.integer("diskFree"),
    gpus: done.textList("gpus").map(harmless),
    pythonVersion,
    time: done.integer("time"),
  };
  return { facts, notes: done.textList("notes").map(harmless) };
}

function failure(host: string, code: ErrorCode, what: string): EngineFailure {
  return new EngineFailure({ code, host, message: `${host}: ${what}` });
}
