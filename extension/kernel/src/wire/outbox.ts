/** What the main thread sends and prints, put in order and handed to the sockets. */
import {
  type Header,
  type Outgoing,
  type Position,
  type StreamName,
  TextRing,
  streamMessage,
} from "lazycluster/notebook/wire";
import { type MessagePort, receiveMessageOnPort } from "worker_threads";
import type { Sockets } from "./sockets";
import type { ToWire } from "./thread-messages";

/** [ms] in which what is printed makes one message. */
const WINDOW_MS = 50;
/** The content of a status. */
const BUSY = JSON.stringify({ execution_state: "busy" });

export class Outbox {
  private stream: { readonly name: StreamName; readonly parent: Header | null } = { name: "stdout", parent: null };
  private timer: NodeJS.Timeout | null = null;
  private looked = -Infinity;
  /** Of printed text: one message at a time, so that what nobody takes fills the ring and no more. */
  private leaving = 0;
  /** The main thread's latest status, when it is that it is busy. */
  private busy: Outgoing<string> | null = null;
  /** When that has left, there is more. */
  private waiting = false;

  constructor(
    private readonly port: MessagePort,
    private readonly printed: TextRing,
    private readonly sockets: Sockets,
    /** Tells that so many bytes have left. */
    private readonly left: (size: number) => void,
    private readonly close: () => void,
  ) {
    port.on("message", (message: ToWire) => this.take(message));
  }

  /** Sends all that was printed until now. */
  flush(): void {
    if (this.timer) clearTimeout(this.timer);
    this.timer = null;
    this.waiting = false;
    this.looked = performance.now();
    const head = this.printed.look();
    // What was sent before some of the text was printed goes before it.
    const more: boolean[] = [];
    for (;;) {
      const found = receiveMessageOnPort(this.port) as { readonly message: ToWire } | undefined;
      if (!found) break;
      if (found.message.type === "printed") more.push(found.message.atOnce);
      else this.take(found.message);
    }
    this.sendPrinted(head);
    if (more.length > 0) this.flushSoon(more.includes(true));
  }

  /** Clients keep one indicator for the kernel, which another thread's answer has just changed. */
  repeatBusy(): void {
    if (this.busy) void this.sockets.send(this.busy);
  }

  private take(message: ToWire): void {
    switch (message.type) {
      case "printed":
        this.flushSoon(message.atOnce);
        return;
      case "stream":
        this.sendPrinted(message.at);
        this.stream = { name: message.name, parent: message.parent };
        return;
      case "send":
        this.sendPrinted(message.at);
        for (const each of message.messages) {
          if (each.type === "status") this.busy = each.content === BUSY ? each : null;
        }
        void Promise.all(message.messages.map((each) => this.sockets.send(each))).then(() => this.left(message.size));
        return;
      case "close":
        this.sendPrinted(this.printed.head);
        this.close();
    }
  }

  private flushSoon(atOnce: boolean): void {
    const wait = this.looked + WINDOW_MS - performance.now();
    if (!atOnce && wait > 0) this.timer ??= setTimeout(() => this.flushWhenLeft(), wait);
    else this.flushWhenLeft();
  }

  private flushWhenLeft(): void {
    if (this.leaving > 0) this.waiting = true;
    else this.flush();
  }

  private sendPrinted(to: Position): void {
    const text = this.printed.read(to);
    if (text === "") return;
    const { name, parent } = this.stream;
    this.leaving += 1;
    void this.sockets.send(streamMessage(name, text, parent)).then(() => {
      this.leaving -= 1;
      if (this.waiting) this.flushWhenLeft();
    });
  }
}
