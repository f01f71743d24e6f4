/** The cells that wait for each other. */

export interface QueuedCell {
  /** Calls `done`, once, when the next one may run; it tells by itself what went wrong. */
  run(done: () => void): void;
  /** Answers that it was not run. */
  abort(): void;
}

export class ExecutionQueue {
  private waiting: QueuedCell[] = [];
  private running = false;

  add(cell: QueuedCell): void {
    this.waiting.push(cell);
    if (!this.running) this.next();
  }

  /** Those that wait; they are not run any more. */
  takeWaiting(): readonly QueuedCell[] {
    const taken = this.waiting;
    this.waiting = [];
    return taken;
  }

  private next(): void {
    const cell = this.waiting.shift();
    this.running = cell !== undefined;
    cell?.run(() => this.next());
  }
}
