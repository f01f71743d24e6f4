/** Two connections made one: what comes from either goes to the other, with backpressure and half-close. */
import { Socket } from "node:net";
import type { PortStream } from "../shared/ports";

/** Calls `over` once, when both are closed. */
export function join(a: PortStream, b: PortStream, over: () => void): void {
  let open = 2;
  const closed = (): void => {
    open -= 1;
    if (open === 0) over();
  };
  carry(a, b, closed);
  carry(b, a, closed);
}

/** Faster than `pipe`, and tells an end from a break. */
function carry(from: PortStream, to: PortStream, closed: () => void): void {
  let ended = false;
  from.on("data", (bytes: Buffer) => {
    if (!to.write(bytes)) from.pause();
  });
  to.on("drain", () => from.resume());
  from.once("end", () => {
    ended = true;
    to.end();
  });
  from.on("error", () => breakOff(to));
  const gone = (): void => {
    // Whoever waits for the rest must not take this for its end; and nobody reads what he still sends.
    if (!ended || !to.readableEnded) breakOff(to);
    closed();
  };
  // One that has gone already does not say so again.
  if (from.closed) gone();
  else from.once("close", gone);
}

/** So that the other end sees a break and no end. */
export function breakOff(stream: PortStream): void {
  if (stream instanceof Socket && !stream.destroyed) stream.resetAndDestroy();
  else stream.destroy();
}
