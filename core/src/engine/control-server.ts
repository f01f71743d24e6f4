/** The control socket of an engine: other processes of the same user ask it for its tasks and end them. */
import { chmodSync } from "fs";
import { type Server, type Socket, createServer } from "net";
import { type Frame, FrameDecoder, encodeFrameHead } from "../wire";
import { makeSocketPath, removeSocket } from "./journal";
import { type RequestKind, type Requests, toFailureData } from "./protocol";

/** What others may ask for. */
export type ControlRequest = Extract<RequestKind, "cancel">;
export type ControlHandler = <K extends ControlRequest>(
  kind: K,
  body: Requests[K]["in"],
) => Promise<Requests[K]["out"]>;

/** Connections at once: a bound, not a limit that anybody meets. */
const MAX_CLIENTS = 64;

export class ControlServer {
  private readonly clients = new Set<Socket>();

  /** The folder of the socket is private (0700), so that nobody else can even try to connect. Null where it cannot be made. */
  static listen(id: string, handle: ControlHandler, warn: (message: string) => void): ControlServer | null {
    try {
      return new ControlServer(makeSocketPath(id), handle, warn);
    } catch (error) {
      warn(unreachable(error));
      return null;
    }
  }

  private readonly server: Server;

  private constructor(
    readonly path: string,
    private readonly handle: ControlHandler,
    warn: (message: string) => void,
  ) {
    this.server = createServer((socket) => this.serve(socket));
    this.server.maxConnections = MAX_CLIENTS;
    this.server.on("error", (error) => warn(unreachable(error)));
    this.server.listen(path, () => {
      try {
        chmodSync(path, 0o600);
      } catch {
        // Closed again already.
      }
    });
    this.server.unref();
  }

  async close(): Promise<void> {
    for (const client of this.clients) client.destroy();
    await new Promise<void>((resolve) => this.server.close(() => resolve()));
    removeSocket(this.path);
  }

  private serve(socket: Socket): void {
    const decoder = new FrameDecoder();
    this.clients.add(socket);
    socket.unref();
    socket.on("close", () => this.clients.delete(socket));
    socket.on("error", () => socket.destroy());
    socket.on("data", (piece: Buffer) => {
      try {
        for (const frame of decoder.push(piece)) void this.answer(socket, frame);
      } catch {
        socket.destroy();
      }
    });
  }

  private async answer(socket: Socket, frame: Frame): Promise<void> {
    const reply = (body: unknown): void => {
      const bytes = Buffer.from(JSON.stringify(body), "utf8");
      if (socket.writable) socket.write(Buffer.concat([encodeFrameHead({ op: "reply" }, bytes.length), bytes]));
    };
    try {
      const { header } = frame;
      if (header.op === "cancel") reply({ ok: true, result: await this.handle("cancel", { id: header.text("id") }) });
      else reply({ ok: false, failure: { code: "ERR_INVALID_ARGUMENT", message: `unknown request ${header.op}` } });
    } catch (error) {
      reply({ ok: false, failure: toFailureData(error) });
    }
  }
}

function unreachable(error: unknown): string {
  return `no control socket, so \`lazycluster cancel\` cannot reach this process: ${String(error)}`;
}
