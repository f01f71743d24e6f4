/** The ports of a host as its agent reaches them: works over every transport, and whatever sshd allows. */
import { EngineFailure, type FailureData } from "../../engine/protocol";
import { type Frame, WireError } from "../../wire";
import type { AgentClient } from "../agent/client";
import { agentFailure } from "../agent/error";
import type { Incoming, PortListener, PortStream, Ports } from "../shared/ports";
import { RelayStream } from "./relay-stream";

export class RelayedPorts implements Ports {
  readonly dialer = "agent";

  constructor(private readonly agent: AgentClient) {}

  dial(port: number): Promise<PortStream> {
    return RelayStream.dial(this.agent, port);
  }

  listen(port: number, anyUser: boolean | null, incoming: (connection: Incoming) => void): Promise<PortListener> {
    const { agent } = this;
    return new Promise((resolve, reject) => {
      let over: () => void = () => undefined;
      const closed = new Promise<void>((settle) => (over = settle));
      let listening = false;
      const close = async (): Promise<void> => {
        operation.cancel();
        await closed;
      };
      const message = ({ header }: Frame): void => {
        if (header.op === "listening" && !listening) {
          listening = true;
          resolve({ port: readPort(header.integer("port", 1), port), by: "agent", close });
        } else if (header.op === "incoming" && listening) {
          incoming(this.arrival(operation.id, header.integer("conn", 1)));
        } else throw new WireError(`an unexpected ${header.op}`);
      };
      const ended = (outcome: Frame | EngineFailure): void => {
        const failure = outcome instanceof EngineFailure ? outcome : agentFailure(agent.host, outcome.header);
        reject(listenFailure(agent.host, port, failure.data));
        over();
      };
      const operation = agent.open("listen", { port, anyUser: anyUser === true }, { message, ended });
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

/** Of a port that cannot be listened on, by the system error's name. */
export function listenFailure(host: string, port: number, why: FailureData): EngineFailure {
  if (why.errno === "EADDRINUSE") return portInUse(host, port);
  const next = why.errno === "EACCES" ? " Ports below 1024 are for root only." : "";
  return new EngineFailure({ ...why, message: `${why.message}${next}` });
}

export function portInUse(host: string, port: number): EngineFailure {
  const next = "Choose another one, such as one that getFreePort() gives, or end what uses it.";
  const message = `${host}: the port ${String(port)} is in use there. ${next}`;
  return new EngineFailure({ code: "ERR_PORT_IN_USE", host, port, message });
}
