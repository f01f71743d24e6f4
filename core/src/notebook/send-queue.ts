/** One send at a time for each socket, in order. What is sent is complete; nothing is dropped. */

interface Sender {
  send(frames: Uint8Array[]): Promise<void>;
}

export class SendQueue<S extends Sender> {
  private readonly leaving = new Map<S, Promise<void>>();

  /** Resolves when it has left. A client that is gone cannot be answered; that is no reason to answer nobody any more. */
  send(socket: S, frames: Uint8Array[]): Promise<void> {
    const before = this.leaving.get(socket);
    // At once where nothing waits: a cell may go into a loop now.
    const work = before ? before.then(() => socket.send(frames)) : socket.send(frames);
    const done = work
      .catch(() => undefined)
      .finally(() => {
        if (this.leaving.get(socket) === done) this.leaving.delete(socket);
      });
    this.leaving.set(socket, done);
    return done;
  }

  /** Resolves when all that was sent until now has left. */
  async drained(): Promise<void> {
    await Promise.all(this.leaving.values());
  }
}
