/** An object of a session as a file on its host. */
import { type AgentClient, startProcess } from "../host";
import { Ext, type Decoded, WireError, decode, encode } from "../wire";
import { untilEnd } from "./call";
import { judge, sentence } from "./judge";
import { EngineFailure, type LiveObject, type ValueData } from "./protocol";

const KEPT = 9;
const LIVE = 10;

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
      session: object.session,
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
  return pathIn(end.value);
}

/** A document: the object as the only argument. */
function argument(id: number): Buffer {
  const tree = encode([[], { args: [new Ext(LIVE, encode(id))], kwargs: {}, bind: {} }]);
  const head = Buffer.alloc(4);
  head.writeUInt32BE(tree.length);
  return Buffer.concat([head, tree]);
}

function pathIn(value: ValueData): Buffer {
  const tree = value.kind === "memory" ? decode(value.tree, { ext: true }) : null;
  const kept: Decoded | undefined = Array.isArray(tree) ? tree[1] : undefined;
  const content = kept instanceof Ext && kept.type === KEPT ? decode(kept.data, { ext: true }) : null;
  const path = content instanceof Map ? content.get("path") : undefined;
  if (!(path instanceof Uint8Array)) throw new WireError("a dump that is no handle");
  return Buffer.from(path);
}
