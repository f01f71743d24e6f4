import { randomUUID } from "crypto";
import type { HostSpec, OwnerSpec, Transport } from "../engine/protocol";
import { LazyclusterError } from "../errors";
import {
  type ExecuteOptions,
  type Execution,
  type ExecutionTarget,
  type RuntimeTask,
  type TaskExecutor,
  startExecution,
} from "../task";
import { requirePath } from "../validate";
import { callEngine } from "./engine-call";
import { type ConnectionOptions, checkHost, checkRuntimeOptions } from "./host-options";

/**
 * An open connection to a host, for `RuntimeTask.execute`.
 *
 * @example
 * ```ts
 * const connection = await Connection.open("host-1");
 * await new RuntimeTask().runCommand("hostname").execute(connection);
 * await connection.close();
 * ```
 */
export class Connection implements ExecutionTarget, TaskExecutor<Execution> {
  readonly #id = `connection-${randomUUID()}`;
  readonly #spec: HostSpec;
  #workingDir = "";
  #closed = false;
  #transport: Transport;

  private constructor(spec: HostSpec) {
    this.#spec = spec;
    this.#transport = spec.transport ?? "ssh2";
  }

  /**
   * @param host as in `Runtime`.
   * @throws InvalidRuntimeError (HostKeyError, AuthenticationError, ConnectionError), as a rejection.
   */
  static async open(host: string, options?: ConnectionOptions & { transport?: Transport }): Promise<Connection> {
    const name = checkHost(host, "Connection.open");
    const { transport, ...connection } = options ?? {};
    const { spec } = checkRuntimeOptions(name, { connection, ...(transport ? { transport } : {}) }, "Connection.open");
    const opened = new Connection(spec);
    try {
      const { transport: taken } = await callEngine("connect", { owner: opened.ownerSpec() });
      opened.#transport = taken;
    } catch (error) {
      await opened.close();
      throw error;
    }
    return opened;
  }

  get host(): string {
    return this.#spec.host;
  }

  /** How the host is reached; where nothing was asked for, the ssh config decides. */
  get transport(): Transport {
    return this.#transport;
  }

  get closed(): boolean {
    return this.#closed;
  }

  /** Directory of the steps, absolute or relative to the login directory; default: the login directory. */
  get workingDir(): string {
    return this.#workingDir;
  }

  set workingDir(path: string) {
    this.#workingDir = path === "" ? "" : requirePath(path, "workingDir");
  }

  /** Ends what still runs over it, and the connection. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    await callEngine("release", { owner: this.#id });
  }

  /** @internal */
  readonly targetEnv = Object.freeze({});
  /** @internal */
  readonly trusted = false;

  /** @internal What `RuntimeTask.execute` calls. */
  executeTask(task: RuntimeTask, options?: ExecuteOptions): Execution {
    return startExecution(task, this, options, "execute").execution;
  }

  /** @internal */
  ownerSpec(): OwnerSpec {
    if (this.#closed)
      throw new LazyclusterError(`${this.host}: the connection was closed. Open a new one with Connection.open.`);
    return { id: this.#id, host: this.#spec, workingDir: { kind: "asIs", path: this.#workingDir } };
  }
}
