/** On which connection the processes of an owner's sessions live. */
import type { AgentClient } from "../host";
import { EngineFailure, type SessionProcess } from "./protocol";

export class SessionPlaces {
  private readonly latest = new Map<string, { readonly process: number; readonly agent: string }>();

  /**
   * A call for this process goes to this host. Throws EngineFailure when the process went with another connection: the host
   * itself, asked anew, knows nothing of it, and would begin an empty one.
   */
  meet({ name, process }: SessionProcess, { id, host }: AgentClient): void {
    const known = this.latest.get(name);
    if (known === undefined || process > known.process) {
      this.latest.set(name, { process, agent: id });
      return;
    }
    if (known.agent === id) return;
    throw new EngineFailure({
      code: "ERR_PYTHON",
      host,
      message: `${host}: the session ${name} ended with the connection to its host. Its variables are gone; the next call starts it anew.`,
      sessionLost: true,
    });
  }
}
