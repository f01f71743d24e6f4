import type { ChildProcess } from "node:child_process";
import type { Readable } from "node:stream";

/**
 * When a process ends, Node throws its output away that nobody has read yet, and goes on with what was paused. This
 * keeps both as they are. To be called before anything else listens for the end.
 */
export function keepUnreadOutput(child: ChildProcess): void {
  child.once("exit", () => {
    for (const stream of [child.stdout, child.stderr]) {
      if (stream?.readableFlowing === null) holdBack(stream);
      // Node resumes in the next tick; its data would flow in the one after that.
      else if (stream?.readableFlowing === false && stream.listenerCount("readable") === 0)
        process.nextTick(() => process.nextTick(() => stream.pause()));
    }
  });
}

/** Nobody will read it: what is kept unread would keep its descriptors for ever. */
export function discardOutput({ stdout, stderr }: ChildProcess): void {
  stdout?.destroy();
  stderr?.destroy();
}

/** For as long as Node's resume() takes: who listens for `readable` reads by himself, so nothing flows. */
function holdBack(stream: Readable): void {
  const hold = (): void => undefined;
  stream.on("readable", hold);
  setImmediate(() => stream.off("readable", hold));
}
