/** The agent's first frame: who it is. */
import { EngineFailure, type ErrorCode, type HostInfo } from "../../engine/protocol";
import { type Frame, FrameDecoder, type Header, WireError } from "../../wire";
import { type StartedAgent, lossBehind } from "./start";
import type { HostConnection } from "../shared/transport";
import { within } from "../shared/within";

export interface Hello {
  /** Has what came behind it, if that was no whole frame yet. */
  readonly decoder: FrameDecoder;
  readonly info: Omit<HostInfo, "transport">;
  /** What came behind it already. */
  readonly early: Frame[];
}

/** Rejects EngineFailure. */
export async function readHello(
  connection: HostConnection,
  { process, rest }: StartedAgent,
  timeoutMs: number,
  signal: AbortSignal,
): Promise<Hello> {
  const { host } = connection;
  const failure = (what: string, code: ErrorCode = "ERR_INVALID_RUNTIME"): EngineFailure =>
    new EngineFailure({ code, host, message: `${host}: ${what}` });
  const decoder = new FrameDecoder();
  let onData: (piece: Buffer) => void = () => undefined;
  let over = false;
  const heard = new Promise<Hello>((resolve, reject) => {
    onData = (piece) => {
      if (over) return;
      try {
        const early = [...decoder.push(piece)];
        const hello = early.shift();
        if (!hello) return;
        over = true;
        process.stdout.off("data", onData).pause();
        if (hello.header.op !== "hello" || hello.header.integer("v") !== 1)
          throw new WireError("no hello of version 1");
        resolve({ decoder, info: readInfo(hello.header), early });
      } catch (error) {
        over = true;
        reject(failure(`what started there is no agent of ours (${String(error)})`));
      }
    };
    void process.exited.then(async (exit) => {
      const broken = await lossBehind(connection, exit);
      reject(
        broken === null
          ? failure("the agent ended as soon as it had started")
          : failure(`the connection broke while the agent started: ${broken}`, "ERR_CONNECTION"),
      );
    });
  });
  process.stdout.on("data", onData);
  onData(rest);
  if (!(over as boolean)) process.stdout.resume();
  try {
    const late = (): never => {
      throw failure("the agent started but said nothing");
    };
    return await within(timeoutMs, heard, late, { signal, host });
  } finally {
    process.stdout.off("data", onData).pause();
  }
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
