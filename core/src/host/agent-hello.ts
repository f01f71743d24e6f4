/** The agent's first frame: who it is. */
import { EngineFailure, type HostInfo } from "../engine/protocol";
import { type Frame, FrameDecoder, type Header, WireError } from "../wire";
import type { StartedAgent } from "./agent-start";
import { firstOutcome } from "./first-outcome";

export interface Hello {
  /** Has what came behind it, if that was no whole frame yet. */
  readonly decoder: FrameDecoder;
  readonly info: Omit<HostInfo, "transport">;
  /** What came behind it already. */
  readonly early: Frame[];
}

/** Rejects EngineFailure. */
export function readHello(
  { process, rest }: StartedAgent,
  host: string,
  timeoutMs: number,
  signal: AbortSignal,
): Promise<Hello> {
  const failure = (what: string): EngineFailure =>
    new EngineFailure({ code: "ERR_INVALID_RUNTIME", host, message: `${host}: ${what}` });
  const tooLate = (): EngineFailure => failure("the agent started but said nothing");
  return firstOutcome({ host, signal, timeoutMs, tooLate }, (resolve, reject) => {
    const decoder = new FrameDecoder();
    const onData = (piece: Buffer): void => {
      try {
        const early = [...decoder.push(piece)];
        const hello = early.shift();
        if (!hello) return;
        if (hello.header.op !== "hello" || hello.header.integer("v") !== 1)
          throw new WireError("no hello of version 1");
        resolve({ decoder, info: readInfo(hello.header), early });
      } catch (error) {
        reject(failure(`what started there is no agent of ours (${String(error)})`));
      }
    };
    void process.exited.then(() => reject(failure("the agent ended as soon as it had started")));
    process.stdout.on("data", onData);
    onData(rest);
    process.stdout.resume();
    return () => {
      process.stdout.off("data", onData);
      process.stdout.pause();
    };
  });
}

/** It is printed, so it must be what it says. */
function readVersion(text: string): string {
  if (!/^\d+\.\d+\.\d+[\w.+-]{0,20}$/.test(text)) throw new WireError("a Python without a version");
  return text;
}

function readInfo(hello: Header): Hello["info"] {
  return {
    pythonVersion: readVersion(hello.text("python")),
    implementation: hello.text("implementation"),
    executable: hello.text("executable"),
    home: hello.text("home"),
    user: hello.text("user"),
    hostname: hello.text("hostname"),
    system: hello.text("system"),
    network: hello.optionalText("network") ?? "",
  };
}
