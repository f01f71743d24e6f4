/** The ports of a host as its agent reaches them: works over every transport, and whatever sshd allows. */
import { EngineFailure } from "../engine/protocol";
import { WireError } from "../wire";
import type { AgentClient } from "./agent-client";
import { agentFailure } from "./agent-error";
import type { Incoming, PortListener, PortStream, Ports } from "./forward";
import { RelayStream } from "./forward-relay-stream";

export class RelayedPorts implements Ports {
  constructor(private readonly agent: AgentClient) {}

  dial(port: number): Promise<PortStream> {
    return RelayStream.dial(this.agent, port);
  }

  listen(port: number, anyUser: boolean, incoming: (connection: Incoming) => void): Promise<PortListener> {
    const { agent } = this;
    return new Promise((resolve, reject) => {
      let close: (why: Error | null) => void = () => undefined;
      const closed = new Promise<Error | null>((settle) => (close = settle));
      let listening = false;
      let closing = false;
      const operation = agent.open(
        "listen",
        { port, anyUser },
        {
          message: ({ header }) => {
            if (header.op === "listening" && !listening) {
              listening = true;
              resolve({
                port: readPort(header.integer("port", 1), port),
                closed,
                close: async () => {
                  closing = true;
                  operation.cancel();
                  await closed;
                },
              });
            } else if (header.op === "incoming" && listening) {
              incoming(this.arrival(operation.id, header.integer("conn", 1)));
            } else throw new WireError(`an unexpected ${header.op}`);
          },
          ended: (outcome) => {
            const why = outcome instanceof EngineFailure ? outcome : agentFailure(agent.host, outcome.header);
            if (!listening) reject(outcome instanceof EngineFailure ? outcome : portFailure(agent.host, port, why));
            close(closing ? null : why);
          },
        },
      );
    });
  }

  async free(ports: readonly number[]): Promise<number[]> {
    if (ports.length === 0) return [];
    const done = await this.agent.ask("ports", { ports: [...ports] }, (error) => agentFailure(this.agent.host, error));
    const free = new Set(done.integerList("ports"));
    return ports.filter((port) => free.has(port));
  }

  private arrival(listen: number, conn: number): Incoming {
    const accept = (): PortStream => RelayStream.accept(this.agent, listen, conn);
    return { accept, refuse: () => void accept().destroy() };
  }
}

/** It is told to others, so it must be what was asked for. */
function readPort(told: number, asked: number): number {
  if (told > 65535 || (asked !== 0 && told !== asked)) throw new WireError("a port that nobody asked for");
  return told;
}

function portFailure(host: string, port: number, why: EngineFailure): EngineFailure {
  const { errno } = why.data;
  if (errno === "EADDRINUSE") return portInUse(host, port);
  const next = errno === "EACCES" ? " Ports below 1024 are for root only: choose another one." : "";
  return new EngineFailure({ ...why.data, message: `${why.message}${next}` });
}

export function portInUse(host: string, port: number): EngineFailure {
  return new EngineFailure({
    code: "ERR_PORT_IN_USE",
    host,
    port,
    message: `${host}: the port ${String(port)} is in use there. Choose another one, such as one that getFreePort() gives, or end what uses it.`,
  });
}
