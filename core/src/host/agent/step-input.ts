/** What a step reads, on its way to the host. */
import { type FileHandle, open } from "fs/promises";
import { type ArgumentData, EngineFailure } from "../../engine/protocol";
import { CHUNK } from "../../wire";
import type { Operation } from "./operation";

/** Where the bytes go: an operation, or one of several streams of it. */
export type InputSink = Pick<Operation, "send">;

/**
 * Sends all of it, the last frame with `eof`; ends early when the operation does. Rejects EngineFailure for a file
 * that cannot be read.
 *
 * @param progress [bytes] handed on so far.
 */
export async function sendInput(
  sink: InputSink,
  input: ArgumentData,
  host: string,
  progress: (bytes: number) => void,
): Promise<void> {
  if (input.kind === "memory") {
    await sendBytes(sink, input.bytes, progress);
    return;
  }
  try {
    const file = await open(input.path, "r");
    try {
      await sendFile(sink, file, input.size, progress);
    } finally {
      await file.close();
    }
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    const message = `${host}: arguments that were kept in a file of the manager could not be read: ${reason}. Compose the task again.`;
    throw new EngineFailure({ code: "ERR_OTHER", host, message }, error);
  }
}

async function sendFile(
  sink: InputSink,
  file: FileHandle,
  size: number,
  progress: (bytes: number) => void,
): Promise<void> {
  let sent = 0;
  while (sent < size) {
    const chunk = Buffer.allocUnsafe(Math.min(size - sent, CHUNK));
    const { bytesRead } = await file.read(chunk, 0, chunk.length, null);
    if (bytesRead === 0) throw new Error("the file became shorter");
    sent += bytesRead;
    const fields = sent === size ? { s: 0, eof: true } : { s: 0 };
    if (!(await sink.send("data", fields, chunk.subarray(0, bytesRead)))) return;
    progress(sent);
  }
}

/** In frames of their own size, the last one with `eof`, also where there are none. */
async function sendBytes(sink: InputSink, bytes: Uint8Array, progress: (bytes: number) => void): Promise<void> {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let offset = 0;
  for (;;) {
    const end = Math.min(buffer.length, offset + CHUNK);
    const last = end === buffer.length;
    if (!(await sink.send("data", last ? { s: 0, eof: true } : { s: 0 }, buffer.subarray(offset, end)))) return;
    progress(end);
    if (last) return;
    offset = end;
  }
}
