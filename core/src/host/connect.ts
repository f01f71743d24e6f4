/** The one door to a host: chooses the transport and logs in. */

import { EngineFailure } from "../engine/protocol/failure";
import { isPort, isSafeUserName, parseHost, parseProxyJump } from "../engine/protocol/host-name";
import type { HostSpec } from "../engine/protocol/host-spec";
import { cancelled } from "./shared/connection-errors";
import { connectLocal } from "./local/transport";
import { connectOpenSsh } from "./openssh/transport";
import { needsOpenSsh } from "./openssh/needed";
import { Semaphore } from "./ssh/ramp";
import { resolveRoute } from "./ssh/route";
import { connectSsh2 } from "./ssh2/transport";
import { DEFAULT_KEEPALIVE_MS, type ConnectContext, type HostConnection } from "./shared/transport";

/** Processes of `ssh -G` at once, in the whole process. */
const RESOLVING_AT_ONCE = 8;
const resolving = new Semaphore(RESOLVING_AT_ONCE);

/** Logs in. Rejects EngineFailure: no such host, no answer, wrong host key, refused login, cancelled. */
export async function connectHost(spec: HostSpec, context: ConnectContext): Promise<HostConnection> {
  const { host, transport } = spec;
  parseHost(host);
  checkSettings(spec);
  if (context.signal.aborted) throw cancelled(host);

  if (transport === "local" || (transport === null && host === "localhost")) return local(spec);
  const route = await resolving
    .run(context.signal, () => resolveRoute(spec, context.signal))
    .catch((error: unknown) => {
      throw context.signal.aborted ? cancelled(host) : error;
    });
  const needed = needsOpenSsh(route);
  if (transport === "openssh" || (transport === null && needed !== null)) return connectOpenSsh(route, context);
  if (needed !== null) {
    throw new EngineFailure({
      code: "ERR_INVALID_RUNTIME",
      host,
      message: `${host}: the transport "ssh2" cannot do what the ssh config asks for: ${needed}. Leave the transport out, or use "openssh".`,
    });
  }
  return connectSsh2(route, context);
}

function local({ host, connection }: HostSpec): HostConnection {
  if (host !== "localhost") {
    throw new EngineFailure({
      code: "ERR_INVALID_ARGUMENT",
      host,
      message: `${host}: the transport "local" reaches only "localhost". Leave the transport out, or use "localhost".`,
    });
  }
  return connectLocal(host, connection.keepaliveIntervalMs ?? DEFAULT_KEEPALIVE_MS);
}

/** The library checks options too; a control socket's client is not the library. */
function checkSettings({ host, connection }: HostSpec): void {
  const refuse = (what: string): never => {
    throw new EngineFailure({ code: "ERR_INVALID_ARGUMENT", host, message: `${host}: ${what}` });
  };
  if (connection.user !== undefined && !isSafeUserName(connection.user)) refuse("the option user is not a user name.");
  if (connection.port !== undefined && !isPort(connection.port)) refuse("the option port is not from 1 to 65535.");
  if (connection.proxyJump !== undefined) parseProxyJump(connection.proxyJump);
}
