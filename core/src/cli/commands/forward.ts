import { InvalidRuntimeError } from "../../errors";
import { PortExposure, Runtime } from "../../runtime";
import { interruptSignal } from "../interrupt";
import { CommandFailure, EXIT, printLine } from "../output";

export interface ForwardOptions {
  toHost?: boolean;
  anyUser?: boolean;
  python?: string;
}

/** Makes a port of the host reachable here, or one of here there, until it is interrupted. */
export async function forward(
  host: string,
  port: string,
  other: string | undefined,
  { toHost, anyUser, python }: ForwardOptions,
): Promise<number> {
  const from = readPort(port);
  const to = other === undefined ? from : readPort(other);
  const signal = interruptSignal();
  const runtime = new Runtime(host, python === undefined ? {} : { python });
  try {
    const options = anyUser === undefined ? {} : { anyUser };
    const key = toHost
      ? await runtime.exposePortToRuntime(from, to, options)
      : await runtime.exposePortFromRuntime(from, to, options);
    printLine(
      toHost
        ? `127.0.0.1:${String(to)} on ${host} leads to port ${String(from)} here. Ctrl-C ends it.`
        : `127.0.0.1:${String(to)} here leads to port ${String(from)} on ${host}. Ctrl-C ends it.`,
    );
    const aborted = new Promise<void>((resolve) => {
      signal.addEventListener("abort", () => resolve());
      if (signal.aborted) resolve();
    });
    const exposure = runtime.getProcess(key);
    await Promise.race([exposure.join(), aborted]);
    if (signal.aborted) return 0;
    if (exposure instanceof PortExposure && exposure.error) throw exposure.error;
    throw new CommandFailure(`${host}: the exposure was ended by another process.`, EXIT.interrupted);
  } finally {
    await runtime.close().catch((error: unknown) => {
      // The host is gone already.
      if (!(error instanceof InvalidRuntimeError)) throw error;
    });
  }
}

function readPort(text: string): number {
  const port = /^\d{1,5}$/.test(text) ? Number(text) : NaN;
  if (!(port >= 1 && port <= 65_535)) {
    throw new CommandFailure(`A port is a number from 1 to 65535, not ${JSON.stringify(text)}.`, EXIT.usage);
  }
  return port;
}
