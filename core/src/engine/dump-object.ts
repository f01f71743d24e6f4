/** An object of a session as a file on its host. */
import { rm } from "fs/promises";
import { type AgentClient, startProcess, untilEnd } from "../host";
import { EXT, Ext, WireError, encode, keptPaths, unpackDocument } from "../wire";
import { judge, sentence } from "./judge";
import { EngineFailure, type LiveObject, type ValueData } from "./protocol";

/** Gives its path. Rejects EngineFailure. */
export async function dumpObject(
  agent: AgentClient,
  object: LiveObject,
  newFile: () => string,
  signal: AbortSignal,
): Promise<Buffer> {
  const process = startProcess(
    agent,
    "call",
    {
      fn: { kind: "dump" },
      cwd: "",
      env: {},
      timeout: null,
      python: null,
      tag: `${object.scope}/dump`,
      scope: object.scope,
      session: object.session.name,
      process: object.session.process,
      result: "handle",
      modules: object.modules,
    },
    { kind: "memory", bytes: argument(object.id) },
    {
      started: () => undefined,
      // What an object prints while it is pickled is nobody's.
      output: (_stream, _bytes, release) => release(),
      progress: () => undefined,
      newFile,
    },
  );
  const end = await untilEnd(process, signal);
  const { failure } = judge(end, null, true);
  if (failure || !end.value) {
    const why = failure?.what ?? "gave no value";
    const message = `${agent.host}: ${object.label} cannot be pickled: the attempt ${sentence(why)}`;
    throw new EngineFailure({
      code: failure?.reason === "cancelled" ? "ERR_CANCELLED" : "ERR_PYTHON",
      host: agent.host,
      message,
      ...(failure?.cause?.remoteTraceback === undefined ? {} : { remoteTraceback: failure.cause.remoteTraceback }),
    });
  }
  try {
    return pathIn(end.value);
  } catch (error) {
    if (!(error instanceof WireError)) throw error;
    const message = `${agent.host}: ${object.label} cannot be used: ${error.message}.`;
    throw new EngineFailure({ code: "ERR_PYTHON", host: agent.host, message }, error);
  } finally {
    if (end.value.kind === "file") await rm(end.value.path, { force: true });
  }
}

/** A document: the object as the only argument. */
function argument(id: number): Buffer {
  const tree = encode([[], { args: [new Ext(EXT.reference, encode(id))], kwargs: {}, bind: {} }]);
  const head = Buffer.alloc(4);
  head.writeUInt32BE(tree.length);
  return Buffer.concat([head, tree]);
}

function pathIn(value: ValueData): Buffer {
  if (value.kind === "file") throw new WireError("a dump that is no handle");
  const [path] = keptPaths(unpackDocument(value));
  if (path === undefined) throw new WireError("a dump that is no handle");
  return Buffer.from(path);
}
