/** The ports of the machine that we run on. */
import { type Server, type Socket, connect, createServer } from "node:net";
import { EngineFailure } from "../engine/protocol";
import { type Incoming, type PortListener, type PortStream, type Ports, listenFailure } from "../host";
import { MANAGER, Peers } from "./manager-peer";

const LOOPBACK = "127.0.0.1";
/** A service may listen on one of them only. */
const PLACES = [LOOPBACK, "::1"];
/** Connections that wait in the kernel; it allows less where its own limit is lower. */
const BACKLOG = 4096;

export class ManagerPorts implements Ports {
  readonly dialer = "manager";

  constructor(private readonly peers: Peers) {}

  async dial(port: number): Promise<PortStream> {
    let first: unknown;
    for (const address of PLACES) {
      try {
        return await dialAt(address, port);
      } catch (error) {
        first ??= error;
      }
    }
    const message = `${MANAGER}: port ${String(port)} cannot be reached (${errnoOf(first)}). Does the service run there?`;
    throw new EngineFailure({ code: "ERR_CONNECTION", host: MANAGER, message }, first);
  }

  async listen(port: number, anyUser: boolean | null, incoming: (connection: Incoming) => void): Promise<PortListener> {
    const server = createServer({ allowHalfOpen: true, pauseOnConnect: true, noDelay: true });
    try {
      await bind(server, port, LOOPBACK);
    } catch (error) {
      throw listenFailure(MANAGER, port, {
        code: "ERR_OTHER",
        host: MANAGER,
        message: `${MANAGER}: the port ${String(port)} cannot be listened on (${errnoOf(error)}). Choose another port.`,
        errno: errnoOf(error),
      });
    }
    const bound = (server.address() as { port: number }).port;
    const unchecked = anyUser === true || !Peers.possible;
    const done = unchecked ? () => Promise.resolve() : this.peers.retain();
    server.on("connection", (socket) => {
      socket.on("error", () => undefined);
      const arrived = (): void => incoming(arrival(socket));
      if (unchecked) arrived();
      else void this.mayCome(socket, bound).then((may) => (may ? arrived() : socket.resetAndDestroy()));
    });
    // Such as no descriptor being left for another connection: it goes on with the next one.
    server.on("error", () => undefined);
    return { port: bound, by: "manager", close: () => stopListening(server).then(done) };
  }

  private async mayCome({ remoteAddress, remotePort }: Socket, port: number): Promise<boolean> {
    // Who comes from another address of this machine may use the port number of somebody who is trusted.
    return remoteAddress === LOOPBACK && remotePort !== undefined && (await this.peers.trusts(remotePort, port));
  }

  async free(ports: readonly number[]): Promise<number[]> {
    const free: number[] = [];
    for (const port of ports) if (await isFree(port)) free.push(port);
    return free;
  }
}

function arrival(socket: Socket): Incoming {
  return {
    accept: () => {
      socket.resume();
      return socket;
    },
    refuse: () => void socket.resetAndDestroy(),
  };
}

function dialAt(host: string, port: number): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host, port, allowHalfOpen: true, noDelay: true });
    socket.once("error", reject);
    socket.once("connect", () => {
      socket.off("error", reject).on("error", () => undefined);
      resolve(socket);
    });
  });
}

function bind(server: Server, port: number, host: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen({ port, host, backlog: BACKLOG, ipv6Only: true }, () => {
      server.off("error", reject);
      resolve();
    });
  });
}

/** Node's own callback waits for the connections, too. The port is free when the loop has come round. */
async function stopListening(server: Server): Promise<void> {
  server.close();
  for (let round = 0; round < 2; round++) await new Promise((resolve) => setImmediate(resolve));
}

/** On every address: what listens on another one would be in the way of who takes the port. */
async function isFree(port: number): Promise<boolean> {
  for (const host of ["0.0.0.0", "::"]) {
    const server = createServer();
    try {
      await bind(server, port, host);
    } catch (error) {
      // A machine without IPv6.
      if (host === "::" && ["EADDRNOTAVAIL", "EAFNOSUPPORT"].includes(errnoOf(error))) continue;
      return false;
    } finally {
      server.close();
    }
  }
  return true;
}

function errnoOf(error: unknown): string {
  return error instanceof Error && "code" in error && typeof error.code === "string" ? error.code : String(error);
}
