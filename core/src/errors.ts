/** What goes wrong, as classes. Every message names the host, what failed, and what to do next. */
import type { ErrorCode, FailureData } from "./engine/protocol";

export type { ErrorCode } from "./engine/protocol";

export interface LazyclusterErrorOptions {
  code?: ErrorCode;
  host?: string;
  cause?: unknown;
  remoteTraceback?: string;
  /** @internal */
  sessionLost?: boolean;
}

/**
 * Base of all errors.
 *
 * @example
 * ```ts
 * try {
 *   await runtime.executeTask(task);
 * } catch (error) {
 *   if (error instanceof LazyclusterError) console.log(error.code, error.message);
 * }
 * ```
 */
export class LazyclusterError extends Error {
  readonly code: ErrorCode;
  readonly host?: string;
  override readonly cause?: unknown;
  /** Of Python code that raised, with the user's own source lines. */
  readonly remoteTraceback?: string;
  readonly #sessionLost: boolean;

  constructor(message: string, options: LazyclusterErrorOptions = {}) {
    super(message);
    this.name = new.target.name;
    this.code = options.code ?? "ERR_OTHER";
    if (options.host !== undefined) this.host = options.host;
    if (options.cause !== undefined) this.cause = options.cause;
    if (options.remoteTraceback !== undefined) this.remoteTraceback = options.remoteTraceback;
    this.#sessionLost = options.sessionLost ?? false;
  }

  /** @internal The kept process of a session is gone, with all that was in it. */
  get sessionLost(): boolean {
    return this.#sessionLost;
  }
}

/** A call got something that it cannot work with; thrown by that very call. */
export class InvalidArgumentError extends LazyclusterError {
  constructor(message: string, options: LazyclusterErrorOptions = {}) {
    super(message, { code: "ERR_INVALID_ARGUMENT", ...options });
  }
}

/** The host is no usable runtime: not reachable, no login, no Python ≥ 3.6. */
export class InvalidRuntimeError extends LazyclusterError {
  declare readonly host: string;

  constructor(message: string, options: LazyclusterErrorOptions & { host: string }) {
    super(message, { code: "ERR_INVALID_RUNTIME", ...options });
  }
}

/** Unknown, changed or revoked host key. */
export class HostKeyError extends InvalidRuntimeError {
  /** `SHA256:…` of the key that the host showed. */
  readonly fingerprint: string;
  readonly knownHostsFile: string;

  constructor(
    message: string,
    options: LazyclusterErrorOptions & { host: string; fingerprint: string; knownHostsFile: string },
  ) {
    super(message, { ...options, code: "ERR_HOST_KEY" });
    this.fingerprint = options.fingerprint;
    this.knownHostsFile = options.knownHostsFile;
  }
}

/** The host refused the login, or no key could be used. */
export class AuthenticationError extends InvalidRuntimeError {
  constructor(message: string, options: LazyclusterErrorOptions & { host: string }) {
    super(message, { ...options, code: "ERR_AUTHENTICATION" });
  }
}

/** No name, no route, refused, timed out, or closed. */
export class ConnectionError extends InvalidRuntimeError {
  constructor(message: string, options: LazyclusterErrorOptions & { host: string }) {
    super(message, { ...options, code: "ERR_CONNECTION" });
  }
}

/** A directory on a host could not be made or used. */
export class PathCreationError extends LazyclusterError {
  readonly path: string;

  constructor(path: string, host?: string, options: { cause?: unknown; message?: string } = {}) {
    const where = host === undefined ? "" : `${host}: `;
    super(
      options.message ?? `${where}the directory ${JSON.stringify(path)} could not be created. Choose another one.`,
      {
        code: "ERR_PATH_CREATION",
        ...(host === undefined ? {} : { host }),
        ...(options.cause === undefined ? {} : { cause: options.cause }),
      },
    );
    this.path = path;
  }
}

/** What cloudpickle made was refused: Python's implementation or minor version differ. */
export class PythonVersionError extends LazyclusterError {
  /** What the host has, such as `cpython 3.13`. */
  readonly found: string;
  /** What made the function or object. */
  readonly needed: string;

  constructor(message: string, options: LazyclusterErrorOptions & { found: string; needed: string }) {
    super(message, { ...options, code: "ERR_PYTHON_VERSION" });
    this.found = options.found;
    this.needed = options.needed;
  }
}

/** No host can be used: the ssh config names none, none answers, or none passes the filters. */
export class NoRuntimesDetectedError extends LazyclusterError {
  constructor(message: string, options: LazyclusterErrorOptions = {}) {
    super(message, { code: "ERR_NO_RUNTIMES", ...options });
  }
}

const MOST_LISTED = 20;

/** @internal One a line; of many only the first. */
export function listed(lines: readonly string[]): string {
  const shown = lines.slice(0, MOST_LISTED).map((line) => `  ${line}`);
  const more = lines.length - shown.length;
  return [...shown, ...(more > 0 ? [`  … and ${String(more)} more`] : [])].join("\n");
}

/** A port is taken where it should be listened on. */
export class PortInUseError extends LazyclusterError {
  readonly port: number;

  /** @param group where it should be free @param runtime where it is taken */
  constructor(
    port: number,
    group?: { readonly hosts: readonly string[] },
    runtime?: { readonly host: string },
    options: { message?: string; cause?: unknown } = {},
  ) {
    const where = runtime ? ` on ${runtime.host}` : group ? ` on a host of ${group.hosts.join(", ")}` : "";
    super(
      options.message ?? `The port ${String(port)} is in use${where}. Choose another one, such as getFreePort() gives.`,
      {
        code: "ERR_PORT_IN_USE",
        ...(runtime ? { host: runtime.host } : {}),
        ...(options.cause === undefined ? {} : { cause: options.cause }),
      },
    );
    this.port = port;
  }
}

/** None of the ports is free. */
export class NoPortsLeftError extends LazyclusterError {
  /** @param hosts where they were looked for. */
  constructor(ports?: readonly number[], hosts: readonly string[] = []) {
    const which = !ports ? "No port is left" : ports.length === 0 ? "No port was given" : "None of the ports is free";
    const where = hosts.length === 0 ? "" : ` on ${hosts.length > 1 ? "each of " : ""}${shortList(hosts)}`;
    super(`${which}${where}${ports?.length ? `: ${shortList(ports)}` : ""}. Give more ports to choose from.`, {
      code: "ERR_NO_PORTS_LEFT",
      ...(hosts.length === 1 ? { host: hosts[0] } : {}),
    });
  }
}

function shortList(values: readonly (string | number)[]): string {
  return [...values.slice(0, 10), ...(values.length > 10 ? ["…"] : [])].join(", ");
}

/** The class for a failure that no task stands for. */
export function errorFromFailure(data: FailureData): LazyclusterError {
  const cause = causeOf(data);
  const options: LazyclusterErrorOptions = {
    code: data.code,
    ...(data.host === undefined ? {} : { host: data.host }),
    ...(cause === undefined ? {} : { cause }),
    ...(data.remoteTraceback === undefined ? {} : { remoteTraceback: data.remoteTraceback }),
    ...(data.sessionLost === undefined ? {} : { sessionLost: data.sessionLost }),
  };
  const onHost = { ...options, host: data.host ?? "" };
  switch (data.code) {
    case "ERR_INVALID_ARGUMENT":
      return new InvalidArgumentError(data.message, options);
    case "ERR_INVALID_RUNTIME":
      return new InvalidRuntimeError(data.message, onHost);
    case "ERR_HOST_KEY":
      return new HostKeyError(data.message, {
        ...onHost,
        fingerprint: data.fingerprint ?? "",
        knownHostsFile: data.knownHostsFile ?? "",
      });
    case "ERR_AUTHENTICATION":
      return new AuthenticationError(data.message, onHost);
    case "ERR_CONNECTION":
      return new ConnectionError(data.message, onHost);
    case "ERR_PATH_CREATION":
      return new PathCreationError(data.path ?? "", data.host, { message: data.message, cause });
    case "ERR_PYTHON_VERSION":
      return new PythonVersionError(data.message, {
        ...options,
        found: data.found ?? "",
        needed: data.needed ?? "",
      });
    case "ERR_PORT_IN_USE":
      return new PortInUseError(data.port ?? 0, undefined, { host: data.host ?? "" }, { message: data.message, cause });
    default:
      return new LazyclusterError(data.message, options);
  }
}

/** The error below a failure: one of ours, or what a library threw, by name. */
export function causeOf(data: FailureData): Error | undefined {
  if (data.below) return errorFromFailure(data.below);
  if (!data.cause) return undefined;
  const cause = new Error(data.cause.message);
  cause.name = data.cause.name;
  return cause;
}
