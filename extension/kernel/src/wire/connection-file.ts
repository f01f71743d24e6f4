/** What Jupyter tells a kernel that it starts: where to listen, and the key of the messages. */
import { readFileSync } from "fs";

export interface ConnectionInfo {
  readonly transport: "tcp" | "ipc";
  readonly ip: string;
  readonly key: string;
  readonly shell_port: number;
  readonly control_port: number;
  readonly stdin_port: number;
  readonly iopub_port: number;
  readonly hb_port: number;
}

export type PortName = "shell_port" | "control_port" | "stdin_port" | "iopub_port" | "hb_port";

/** Throws Error with a message for people. */
export function readConnectionFile(file: string): ConnectionInfo {
  let found: Partial<ConnectionInfo> & { signature_scheme?: string };
  try {
    found = JSON.parse(readFileSync(file, "utf8")) as typeof found;
  } catch (error) {
    throw new Error(
      `The connection file ${file} cannot be read: ${error instanceof Error ? error.message : String(error)}`,
    );
  }
  const scheme = found.signature_scheme ?? "hmac-sha256";
  if (found.key && scheme !== "hmac-sha256") {
    throw new Error(`The connection file ${file} asks for signatures by ${scheme}; this kernel knows hmac-sha256.`);
  }
  return { transport: "tcp", ip: "127.0.0.1", key: "", ...found } as ConnectionInfo;
}

export function endpoint(info: ConnectionInfo, port: PortName): string {
  return `${info.transport}://${info.ip}${info.transport === "ipc" ? "-" : ":"}${String(info[port])}`;
}
