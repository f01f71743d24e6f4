/** What the kernel says: to all clients, about a cell or a request, and to one of them. */
import type { Content, Header, Outgoing, Request, StreamName, Transport } from "./message";

export class Publisher {
  /** Of the latest cell: what code prints after its cell ended is shown there. */
  parent: Header | null = null;
  /** What leaves together, while it is put together. */
  private held: Outgoing[] | null = null;

  private skips = false;

  constructor(private readonly transport: Transport) {}

  /** What is published and replied in there leaves at once; nothing is printed in there. */
  together(work: () => void): void {
    const held: Outgoing[] = [];
    this.held = held;
    try {
      work();
    } finally {
      this.held = null;
      if (held.length > 0) this.transport.send(...held);
    }
  }

  /** What is printed next, in the same step of the program, is the end of a line that has been shown in another way. */
  skipLineEnd(): void {
    this.skips = true;
    queueMicrotask(() => (this.skips = false));
  }

  print(name: StreamName, text: string): void {
    const skipped = this.skips && text === "\n";
    this.skips = false;
    if (skipped) return;
    this.transport.print(name, text, this.parent);
  }

  status(state: "busy" | "idle", parent: Header): void {
    this.publish("status", { execution_state: state }, parent);
  }

  publish(type: string, content: Content, parent = this.parent): void {
    this.transmit({ channel: "iopub", identities: [], type, parent, content });
  }

  reply(request: Request, type: string, content: Content): void {
    this.send(request, request.channel, type, content);
  }

  send(request: Request, channel: Request["channel"], type: string, content: Content, id?: string): void {
    const message = { channel, identities: request.identities, type, parent: request.header, content };
    this.transmit(id === undefined ? message : { ...message, id });
  }

  private transmit(message: Outgoing): void {
    if (this.held) this.held.push(message);
    else this.transport.send(message);
  }
}
