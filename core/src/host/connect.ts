/** The one door to a host: chooses the transport and logs in. */

import { EngineFailure } from "../engine/protocol/failure";
import { isPort, isSafeUserName, parseHost, parseProxyJump } from "../engine/protocol/host-name";
import type { HostSpec } from "../engine/protocol/host-spec";
import { cancelled } from "./connection-errors";
import { connectLocal } from "./local-transport";
import { connectSsh2 } from "./ssh2-transport";
import { DEFAULT_KEEPALIVE_MS, type ConnectContext, type HostConnection } from "./transport";

/** Logs in. Rejects EngineFailure: no such host, no answer, wrong host key, refused login, cancelled. */
export async function connectHost(spec: HostSpec, context: ConnectContext): Promise<HostConnection> {
  const name = parseHost(spec.host);
  checkSettings(spec);
  if (context.signal.aborted) throw cancelled(spec.host);

  switch (spec.transport ?? (spec.host === "localhost" ? "local" : "ssh2")) {
    case "local":
      if (spec.host !== "localhost") {
        throw new EngineFailure({
          code: "ERR_INVALID_ARGUMENT",
          host: spec.host,
          message: `${spec.host}: the transport "local" reaches only "localhost". Leave the transport out, or use "localhost".`,
        });
      }
      return connectLocal(spec.host, spec.connection.keepaliveIntervalMs ?? DEFAULT_KEEPALIVE_MS);
    case "ssh2":
      return connectSsh2(spec, name, context);
    case "openssh":
      throw new EngineFailure({
        code: "ERR_INVALID_RUNTIME",
        host: spec.host,
        message: `${spec.host}: the transport "openssh" is not supported yet. Leave the transport out, or use "ssh2".`,
      });
  }
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
