import { text } from "node:stream/consumers";
import { expect } from "vitest";
import { EngineFailure, type FailureData } from "../../src/engine/protocol/failure";
import type { ConnectionSettings, HostSpec, PromptRequest, Transport } from "../../src/engine/protocol/host-spec";
import { connectHost } from "../../src/host/connect";
import type { ConnectContext, HostConnection } from "../../src/host/shared/transport";

export interface Attempt {
  readonly configFile: string | null;
  readonly connection?: ConnectionSettings;
  readonly transport?: Transport;
  readonly prompt?: (request: PromptRequest) => Promise<string[]>;
  readonly signal?: AbortSignal;
  readonly logs?: string[];
}

/** No agent of the machine takes part unless a test names one. */
export function specOf(host: string, { configFile, connection = {}, transport }: Attempt): HostSpec {
  return {
    host,
    transport: transport ?? null,
    connection: { agent: false, ...connection },
    promptId: null,
    python: "python3",
    loginEnv: false,
    leaseMs: 60_000,
    sshConfigFile: configFile,
    traceProtocol: false,
  };
}

export function connect(host: string, attempt: Attempt): Promise<HostConnection> {
  const context: ConnectContext = {
    signal: attempt.signal ?? new AbortController().signal,
    prompt: attempt.prompt ?? null,
    log: (level, message) => attempt.logs?.push(`${level}: ${message}`),
  };
  return connectHost(specOf(host, attempt), context);
}

/** Connects, and closes again what should not have been. */
export async function failureOf(host: string, attempt: Attempt): Promise<FailureData> {
  let connection: HostConnection;
  try {
    connection = await connect(host, attempt);
  } catch (error) {
    expect(error).toBeInstanceOf(EngineFailure);
    return (error as EngineFailure).data;
  }
  await connection.close();
  throw new Error(`${host}: the login should have failed`);
}

export async function output(connection: HostConnection, command: string): Promise<string> {
  const process = await connection.exec(command);
  process.stdin.end();
  process.stderr.resume();
  return text(process.stdout);
}

/** Logs in, asks who it is, logs out. */
export async function whoAmI(host: string, attempt: Attempt): Promise<string> {
  const connection = await connect(host, attempt);
  try {
    return (await output(connection, "id -un; hostname")).trim().split("\n").join("@");
  } finally {
    await connection.close();
  }
}

export function openSockets(): number {
  return process.getActiveResourcesInfo().filter((name) => /TCP|GetAddrInfo|ProcessWrap/.test(name)).length;
}
