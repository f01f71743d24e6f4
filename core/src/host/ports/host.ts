/** The ports of a host: through its sshd where that is faster and allowed, else through the agent. */
import type { PortHand } from "../../engine/protocol";
import type { AgentClient } from "../agent/client";
import { agentFailure } from "../agent/error";
import type { Incoming, PortListener, PortStream, Ports } from "../shared/ports";
import { RelayedPorts } from "./relay";

export class HostPorts implements Ports {
  private readonly relayed: RelayedPorts;
  /** What sshd forbade once it forbids again. */
  private forbidden = false;

  constructor(private readonly agent: AgentClient) {
    this.relayed = new RelayedPorts(agent);
  }

  get dialer(): PortHand {
    return this.agent.tunnels === null || this.forbidden ? "agent" : "sshd";
  }

  async dial(port: number): Promise<PortStream> {
    const { tunnels } = this.agent;
    if (tunnels === null || this.dialer === "agent") return this.relayed.dial(port);
    const outcome = await tunnels.dial(port);
    if (outcome.kind === "open") return outcome.stream;
    if (outcome.kind === "refused") throw outcome.failure;
    this.forbidden = true;
    return this.relayed.dial(port);
  }

  async listen(port: number, anyUser: boolean | null, incoming: (connection: Incoming) => void): Promise<PortListener> {
    // Fastest is sshd, who asks nobody who he is.
    const listener = anyUser === false ? null : await this.listenBySshd(port, incoming);
    // Also when the port is in use: sshd does not say why, the agent does.
    return listener ?? this.relayed.listen(port, anyUser, incoming);
  }

  private async listenBySshd(port: number, incoming: (connection: Incoming) => void): Promise<PortListener | null> {
    const { agent } = this;
    const listener = (await agent.tunnels?.listen(port, incoming)) ?? null;
    if (!listener) return null;
    const done = await agent.ask("sshd", { port: listener.port }, (error) => agentFailure(agent.host, error));
    if (done.flag("fit")) return listener;
    await listener.close();
    return null;
  }

  free(ports: readonly number[]): Promise<number[]> {
    return this.relayed.free(ports);
  }
}
