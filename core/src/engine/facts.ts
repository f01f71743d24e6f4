/** What a host has, asked of its agent. */
import { type AgentClient, abortable, agentFailure, harmless } from "../host";
import { EngineFailure, type HostFacts, type WorkingDirSpec } from "./protocol";

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
  const late = AbortSignal.timeout(ANSWER_MS);
  const answer = agent.ask("facts", { path }, (error) => agentFailure(agent.host, error));
  try {
    const done = await abortable(answer, AbortSignal.any([signal, late]), agent.host);
    const facts: HostFacts = {
      os: harmless(done.text("os")),
      cpuCores: done.number("cores"),
      memory: done.integer("memory"),
      memoryAvailable: done.integer("available"),
      loadAverage: done.numberList("load"),
      diskTotal: done.integer("diskTotal"),
      diskFree: done.integer("diskFree"),
      gpus: done.textList("gpus").map(harmless),
      pythonVersion: agent.info.pythonVersion,
    };
    return { facts, notes: done.textList("notes").map(harmless) };
  } catch (error) {
    if (!late.aborted || signal.aborted) throw error;
    const message = `${agent.host}: the host did not say within ${String(ANSWER_MS / 1000)} s what it has. Try again.`;
    throw new EngineFailure({ code: "ERR_TIMEOUT", host: agent.host, message });
  }
}
