/** The cells that wait for each other. */

export interface QueuedCell {
  run(): Promise<void>;
  /** Answers that it was not run. */
  abort(): void;
}

export class ExecutionQueue {
  private waiting: QueuedCell[] = [];
  private running = false;

  add(cell: QueuedCell): void {
    this.waiting.push(cell);
    if (!this.running) void this.work();
  }

  /** Those that wait; they are not run any more. */
  takeWaiting(): readonly QueuedCell[] {
    const taken = this.waiting;
    this.waiting = [];
    return taken;
  }

  private async work(): Promise<void> {
    this.running = true;
    for (;;) {
      const cell = this.waiting.shift();
      if (!cell) break;
      // It tells by itself what went wrong; those behind it run in any case.
      await cell.run().catch(() => undefined);
    }
    this.running = false;
  }
}
