/** The built engine's own parts, below the public API. */
import { createRequire } from "node:module";
import { join } from "node:path";
import type * as Protocol from "../../src/engine/protocol";
import type * as DumpObject from "../../src/engine/dump-object";
import type * as ExposureBookModule from "../../src/engine/exposure-book";
import type * as Facts from "../../src/engine/facts";
import type * as Host from "../../src/host";
import type * as Network from "../../src/network";
import type * as Connect from "../../src/host/connect";
import type { HostConnection } from "../../src/host/shared/transport";

const load = createRequire(__filename);
const part = (name: string): unknown => load(join(__dirname, "..", "..", "dist", name));

export const { AgentClient, Recording, receiveTree, sendTree, startProcess, syncTree } = part(
  "host/index.js",
) as typeof Host;
export const { connectHost } = part("host/connect.js") as typeof Connect;
export const { Exposure, hostPlace, managerPlace } = part("network/index.js") as typeof Network;
export const { ExposureBook } = part("engine/exposure-book.js") as typeof ExposureBookModule;
export const { askFacts } = part("engine/facts.js") as typeof Facts;
export const { dumpObject } = part("engine/dump-object.js") as typeof DumpObject;
export const { EngineFailure } = part("engine/protocol/index.js") as typeof Protocol;
/** A record of a tree as it travels; fields may be wrong. */
export function treeRecord(letter: string, path: Buffer, size: bigint, extra: Buffer, mode = 0o644): Buffer {
  const head = Buffer.alloc(23);
  head.write(letter, "latin1");
  head.writeUInt16BE(mode, 1);
  head.writeBigUInt64BE(size, 11);
  head.writeUInt16BE(path.length, 19);
  head.writeUInt16BE(extra.length, 21);
  return Buffer.concat([head, path, extra]);
}
export type { HostConnection, RemoteProcess } from "../../src/host/shared/transport";
export type { FailureData, HostSpec } from "../../src/engine/protocol";
export type { Exposure as ExposureType } from "../../src/network";
export type { AgentClient as AgentClientType } from "../../src/host";

export function hostSpec(host: string, configFile: string | null): Protocol.HostSpec {
  return {
    host,
    transport: null,
    connection: { agent: false },
    promptId: null,
    python: "python3",
    loginEnv: false,
    leaseMs: 60_000,
    sshConfigFile: configFile,
    traceProtocol: false,
  };
}

export const never: AbortSignal = new AbortController().signal;

/** An agent that no pool knows. */
export async function openAgent(host: string, configFile: string): Promise<Host.AgentClient> {
  const spec = hostSpec(host, configFile);
  const connection: HostConnection = await connectHost(spec, { signal: never, prompt: null, log: () => undefined });
  return AgentClient.start(connection, spec, never);
}
