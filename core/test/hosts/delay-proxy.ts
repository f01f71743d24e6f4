/** A slow line: a TCP proxy that keeps every byte for half a round trip. */

import { once } from "node:events";
import { connect, createServer, type AddressInfo, type Socket } from "node:net";

export interface DelayProxy {
  readonly address: string;
  readonly port: number;
  /** Those that are open now. */
  connections(): number;
  /** Cuts the newest connection. */
  dropNewest(): void;
  stop(): Promise<void>;
}

export async function startDelayProxy(options: {
  readonly target: { readonly address: string; readonly port: number };
  readonly rttMs: number;
}): Promise<DelayProxy> {
  const sockets = new Set<Socket>();
  const clients = new Set<Socket>();
  const server = createServer({ noDelay: true, allowHalfOpen: true }, (near) => {
    const far = connect({
      host: options.target.address,
      port: options.target.port,
      noDelay: true,
      allowHalfOpen: true,
    });
    clients.add(near);
    near.on("close", () => clients.delete(near));
    for (const socket of [near, far]) {
      sockets.add(socket);
      socket.on("error", () => undefined).on("close", () => sockets.delete(socket));
    }
    delay(near, far, options.rttMs / 2);
    delay(far, near, options.rttMs / 2);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  return {
    address: "127.0.0.1",
    port,
    connections: () => clients.size,
    dropNewest: () => [...clients].at(-1)?.destroy(),
    stop: async () => {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, "close");
    },
  };
}

/** Timers of the same length fire in order, so the bytes stay in order too. */
function delay(from: Socket, to: Socket, ms: number): void {
  from.on("data", (chunk) => {
    setTimeout(() => {
      if (!to.writable || to.write(chunk) || from.isPaused()) return;
      from.pause();
      to.once("drain", () => from.resume());
    }, ms);
  });
  from.on("end", () => setTimeout(() => to.end(), ms));
  from.on("close", () => setTimeout(() => to.destroy(), ms));
}
