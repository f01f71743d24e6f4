import { engineClient } from "../engine/client";
import type { HandleRef, OwnerSpec } from "../engine/protocol";
import type { DisplayParts } from "./display-object";
import { type HandleHome, type PyHandle, label } from "./handle";
import { callQuietly } from "./quiet-call";
import type { Origin } from "./revive";

/**
 * Where the values of an owner's calls come from.
 *
 * @param agent the connection that they came over.
 */
export function originOf(owner: OwnerSpec, agent: string, trusted: boolean): Origin {
  const origin: Origin = {
    host: owner.host.host,
    trusted,
    kept: (path, parts, python) => new KeptHome({ owner, agent, origin }, path, parts, python),
  };
  return origin;
}

/** A file on the host that made the object. It goes with its connection, or when its owner is closed. */
class KeptHome implements HandleHome {
  constructor(
    private readonly at: { readonly owner: OwnerSpec; readonly agent: string; readonly origin: Origin },
    private readonly path: Uint8Array,
    private readonly parts: DisplayParts,
    private readonly python: string,
  ) {
    // With the owner the engine removes it.
    void engineClient().requestQuietly("keepObject", { owner: at.owner.id, agent: at.agent, path });
  }

  ref(): HandleRef {
    const { agent, origin } = this.at;
    return { kind: "kept", agent, host: origin.host, label: label(this.parts), python: this.python, path: this.path };
  }

  idFor(): null {
    return null;
  }

  async load(handle: PyHandle): Promise<unknown> {
    const { owner, agent, origin } = this.at;
    return callQuietly({
      owner,
      agent,
      fn: { kind: "value" },
      args: [handle],
      result: "data",
      origin: () => origin,
    });
  }

  async free(): Promise<void> {
    await engineClient().requestQuietly("dropObject", { agent: this.at.agent, path: this.path });
  }
}
