/** What the kernel says: to all clients, about a cell or a request, and to one of them. */
import type { Content, Header, Request, Transport } from "./message";
import { Output, type StreamName } from "./output";

export class Publisher {
  /** Of the latest cell: what code prints after its cell ended is shown there. */
  parent: Header | null = null;
  private readonly output = new Output((name, text) => this.publish("stream", { name, text }));

  constructor(private readonly transport: Transport) {}

  /** A new cell: what is published from now on is its own. */
  begin(parent: Header): void {
    this.output.begin();
    this.parent = parent;
  }

  print(name: StreamName, data: string | Uint8Array): void {
    this.output.write(name, data);
  }

  /** What was printed comes before everything that is sent from now on. */
  flush(): void {
    this.output.flush();
  }

  status(state: "busy" | "idle", parent: Header): void {
    this.publish("status", { execution_state: state }, parent);
  }

  publish(type: string, content: Content, parent = this.parent): void {
    this.transport.send({ channel: "iopub", identities: [], type, parent, content });
  }

  publishAfterOutput(type: string, content: Content): void {
    this.flush();
    this.publish(type, content);
  }

  reply(request: Request, type: string, content: Content): void {
    this.send(request, request.channel, type, content);
  }

  send(request: Request, channel: Request["channel"], type: string, content: Content): void {
    this.transport.send({ channel, identities: request.identities, type, parent: request.header, content });
  }
}
