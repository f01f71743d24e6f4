import { cancelled, timedOut, type Target } from "./connection-errors";
import type { Route } from "./route";
import { openSocket } from "./ssh2-login";
import { DEFAULT_TIMEOUT_MS } from "./transport";

/** [ms] until the host's ssh port answered. For a host that is reached directly. Rejects EngineFailure. */
export async function reach({ spec, config }: Route, signal: AbortSignal): Promise<number> {
  const target: Target = { host: spec.host, address: config.hostname, port: config.port, user: config.user };
  const timeoutMs = spec.connection.connectTimeoutMs ?? config.connectTimeoutMs ?? DEFAULT_TIMEOUT_MS;
  const stop = new AbortController();
  const timer = setTimeout(() => stop.abort(timedOut(target, timeoutMs, "did not answer")), timeoutMs);
  const abort = (): void => stop.abort(cancelled(spec.host));
  signal.addEventListener("abort", abort);
  if (signal.aborted) abort();
  const since = performance.now();
  try {
    const { addressFamily, bindAddress } = config;
    const socket = await openSocket({ target, addressFamily, bindAddress }, stop.signal);
    const ms = performance.now() - since;
    socket.destroy();
    return ms;
  } finally {
    clearTimeout(timer);
    signal.removeEventListener("abort", abort);
  }
}
