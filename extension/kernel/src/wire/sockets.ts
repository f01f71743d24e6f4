/** The five sockets of a kernel. What is sent leaves complete and in order; nothing is dropped. */
import {
  BadMessage,
  type Channel,
  Codec,
  type Content,
  type Outgoing,
  type Request,
  SendQueue,
} from "lazycluster/notebook/wire";
import { Reply, Router, XPublisher } from "zeromq";
import { type ConnectionInfo, endpoint } from "./connection-file";

/** [ms] that the last messages may take on their way when the kernel ends. */
const LINGER_MS = 1000;
/** The first byte of what a subscriber of iopub sends. */
const SUBSCRIBES = 1;

type Sender = Router | XPublisher;

export class Sockets {
  private readonly routers: Readonly<Record<Channel, Router>>;
  private readonly iopub: XPublisher;
  private readonly heartbeat = new Reply({ linger: 0 });
  private readonly codec: Codec;
  private closed = false;
  private readonly leaving = new SendQueue<Sender>();

  constructor(private readonly info: ConnectionInfo) {
    this.codec = new Codec(info.key);
    const router = (): Router =>
      new Router({ linger: LINGER_MS, sendHighWaterMark: 0, receiveHighWaterMark: 0, handover: true });
    this.routers = { shell: router(), control: router(), stdin: router() };
    this.iopub = new XPublisher({ linger: LINGER_MS, sendHighWaterMark: 0, verbosity: "allSubs" });
  }

  /** Resolves when all are bound. */
  async bind(): Promise<void> {
    const { info } = this;
    await Promise.all([
      this.iopub.bind(endpoint(info, "iopub_port")),
      this.routers.shell.bind(endpoint(info, "shell_port")),
      this.routers.control.bind(endpoint(info, "control_port")),
      this.routers.stdin.bind(endpoint(info, "stdin_port")),
      this.heartbeat.bind(endpoint(info, "hb_port")),
    ]);
  }

  /** Hears clients until the sockets are closed. */
  listen(receive: (request: Request) => void): void {
    for (const channel of ["shell", "control", "stdin"] as const) {
      void this.read(this.routers[channel], (frames) => receive(this.codec.decode(channel, frames)));
    }
    void this.read(this.iopub, ([frame]) => this.welcome(frame));
    void this.echo();
  }

  send(message: Outgoing<Content | string>): Promise<void> {
    if (this.closed) return Promise.resolve();
    const socket = message.channel === "iopub" ? this.iopub : this.routers[message.channel];
    return this.leaving.send(socket, this.codec.encode(message));
  }

  /** What was sent before still leaves. */
  async close(): Promise<void> {
    await this.leaving.drained();
    this.closed = true;
    for (const socket of [this.iopub, ...Object.values(this.routers), this.heartbeat]) socket.close();
  }

  private async read(socket: Sender, take: (frames: Buffer[]) => void): Promise<void> {
    for await (const frames of socket) {
      try {
        take(frames);
      } catch (error) {
        // Whoever does not know the key is not answered.
        if (!(error instanceof BadMessage)) throw error;
      }
    }
  }

  private async echo(): Promise<void> {
    for await (const frames of this.heartbeat) await this.heartbeat.send(frames);
  }

  /** A new subscriber hears that it hears from now on; others may ignore it. */
  private welcome(frame: Buffer | undefined): void {
    if (frame?.[0] !== SUBSCRIBES) return;
    const subscription = frame.subarray(1).toString("utf8");
    void this.send({
      channel: "iopub",
      identities: [],
      type: "iopub_welcome",
      parent: null,
      content: { subscription },
    });
  }
}
