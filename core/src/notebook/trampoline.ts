/** A place to start cells from: a stack on which nothing of ours is lost when another thread stops what runs on it. */
import { MessageChannel } from "worker_threads";

export class Trampoline {
  private readonly channel = new MessageChannel();
  private work: (() => void) | null = null;

  constructor() {
    this.channel.port2.on("message", () => {
      const { work } = this;
      this.work = null;
      work?.();
    });
    // It keeps no process alive.
    this.channel.port2.unref();
  }

  close(): void {
    this.work = null;
    this.channel.port1.close();
  }

  /** Runs the work soon, with nothing below it on the stack. One at a time. */
  start(work: () => void): void {
    this.work = work;
    this.channel.port1.postMessage(null);
  }
}
