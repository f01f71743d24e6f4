import { timedOut, type Target } from "./shared/connection-errors";
import type { Route } from "./ssh/route";
import { openSocket } from "./ssh2/login";
import { DEFAULT_TIMEOUT_MS } from "./shared/transport";
import { bounded } from "./shared/within";

/** [ms] until the host's ssh port answered. For a host that is reached directly. Rejects EngineFailure. */
export async function reach({ spec, config }: Route, signal: AbortSignal): Promise<number> {
  const target: Target = { host: spec.host, address: config.hostname, port: config.port, user: config.user };
  const timeoutMs = spec.connection.connectTimeoutMs ?? config.connectTimeoutMs ?? DEFAULT_TIMEOUT_MS;
  const since = performance.now();
  const { addressFamily, bindAddress } = config;
  const socket = await bounded(
    timeoutMs,
    (stop) => openSocket({ target, addressFamily, bindAddress }, stop.signal),
    () => timedOut(target, timeoutMs, "did not answer"),
    { signal, host: spec.host },
  );
  const ms = performance.now() - since;
  socket.destroy();
  return ms;
}
