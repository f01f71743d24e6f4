/** The ports of a host: through its sshd where that is faster and allowed, else through the agent. */
import type { AgentClient } from "./agent-client";
import type { Incoming, PortListener, PortStream, Ports } from "./forward";
import { RelayedPorts } from "./forward-relay";

export class HostPorts implements Ports {
  private readonly relayed: RelayedPorts;
  /** What sshd forbade once it forbids again. */
  private forbidden = false;

  constructor(private readonly agent: AgentClient) {
    this.relayed = new RelayedPorts(agent);
  }

  async dial(port: number): Promise<PortStream> {
    const { tunnels } = this.agent;
    if (tunnels === null || this.forbidden) return this.relayed.dial(port);
    const outcome = await tunnels.dial(port);
    if (outcome.kind === "open") return outcome.stream;
    if (outcome.kind === "refused") throw outcome.failure;
    this.forbidden = true;
    return this.relayed.dial(port);
  }

  listen(port: number, anyUser: boolean, incoming: (connection: Incoming) => void): Promise<PortListener> {
    return this.relayed.listen(port, anyUser, incoming);
  }

  free(ports: readonly number[]): Promise<number[]> {
    return this.relayed.free(ports);
  }
}
