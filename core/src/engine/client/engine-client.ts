/** The library's end of the engine's thread: starts it on first need, asks, listens, and ends it with the process. */
import { basename, join } from "path";
import { SHARE_ENV, Worker } from "worker_threads";
import { endSignsOfLife, removeSockets } from "../journal";
import {
  type ClientMessage,
  EngineFailure,
  type EngineMessage,
  type ExecutionChange,
  type ExposureChange,
  type PromptRequest,
  type RequestKind,
  type Requests,
} from "../protocol";

type LogLevel = "error" | "warn" | "info" | "debug";
export type PromptCallback = (request: PromptRequest) => Promise<string[]>;
export type ChangeListener = (changes: readonly ExecutionChange[]) => void;
export type OutputListener = (stream: "stdout" | "stderr", data: Uint8Array) => void;

/** [ms] that a polite end may take at exit. */
const SHUTDOWN_MS = 8000;

export class EngineClient {
  private worker: Worker | null = null;
  private nextId = 1;
  private readonly requests = new Map<number, { resolve: (result: unknown) => void; reject: (error: Error) => void }>();
  private readonly executions = new Map<string, ChangeListener>();
  /** Executions that keep the process alive: all but those that go on without us, and that nobody waits for. */
  private readonly holding = new Set<string>();
  private readonly calls = new Map<string, OutputListener>();
  private readonly exposures = new Map<string, (change: ExposureChange) => void>();
  private readonly prompts = new Map<number, PromptCallback>();
  private readonly promptIds = new Map<PromptCallback, number>();
  private log: (level: LogLevel, message: string) => void = () => undefined;

  /** Where the engine's own messages go. */
  setLog(log: (level: LogLevel, message: string) => void): void {
    this.log = log;
  }

  /** Rejects EngineFailure. */
  request<K extends RequestKind>(kind: K, body: Requests[K]["in"]): Promise<Requests[K]["out"]> {
    const worker = this.start();
    const id = this.nextId++;
    return new Promise((resolve, reject) => {
      this.requests.set(id, { resolve: (result) => resolve(result as Requests[K]["out"]), reject });
      this.keepAlive(worker);
      try {
        worker.postMessage({ type: "request", id, kind, body });
      } catch (error) {
        this.requests.delete(id);
        this.letGo();
        const message = `the engine cannot be asked: ${String(error)}`;
        reject(new EngineFailure({ code: "ERR_OTHER", message }, error));
      }
    });
  }

  /** Starts an execution and hears its changes until its end. */
  execute(body: Requests["execute"]["in"], listener: ChangeListener): void {
    const { id } = body.spec;
    this.executions.set(id, listener);
    this.holding.add(id);
    this.request("execute", body).catch((error: unknown) => {
      const failure =
        error instanceof EngineFailure ? error.data : { code: "ERR_OTHER" as const, message: String(error) };
      this.deliver(id, [{ kind: "end", state: "failed", failure: { ...failure, task: null }, time: Date.now() }]);
    });
  }

  /** Somebody waits for the execution: the process lives on until it has ended. */
  hold(id: string): void {
    if (!this.worker || !this.executions.has(id)) return;
    this.holding.add(id);
    this.keepAlive(this.worker);
  }

  /** A call without a task. Rejects EngineFailure. @param output hears what it prints. */
  async call(body: Requests["call"]["in"], output: OutputListener): Promise<Requests["call"]["out"]> {
    this.calls.set(body.id, output);
    try {
      return await this.request("call", body);
    } finally {
      this.calls.delete(body.id);
    }
  }

  /** Nobody waits for it; without an engine there is nothing to be done. Never rejects. */
  async requestQuietly<K extends RequestKind>(kind: K, body: Requests[K]["in"]): Promise<void> {
    if (this.worker) await this.request(kind, body).catch(() => undefined);
  }

  /** Makes an exposure and hears what becomes of it, until its end. It keeps no process alive. Rejects EngineFailure. */
  async expose(body: Requests["expose"]["in"], listener: (change: ExposureChange) => void): Promise<void> {
    const { id } = body.spec;
    this.exposures.set(id, listener);
    try {
      await this.request("expose", body);
    } catch (error) {
      this.exposures.delete(id);
      throw error;
    }
  }

  /** A number for a callback that may be asked for passwords; the same one for the same callback. */
  registerPrompt(callback: PromptCallback): number {
    const known = this.promptIds.get(callback);
    if (known !== undefined) return known;
    const id = this.promptIds.size + 1;
    this.promptIds.set(callback, id);
    this.prompts.set(id, callback);
    return id;
  }

  /** Gives back what an owner holds without anybody waiting for it; used when an owner was garbage collected. */
  releaseQuietly(owner: string): void {
    void this.requestQuietly("release", { owner });
  }

  /** Starts the thread ahead of need. */
  prepare(): void {
    this.start();
  }

  /** Ends everything politely, bounded in time. The next request starts a new engine. */
  async shutdown(): Promise<void> {
    const { worker } = this;
    if (!worker) return;
    let timer: NodeJS.Timeout | undefined;
    const bound = new Promise<void>((resolve) => (timer = setTimeout(resolve, SHUTDOWN_MS)));
    await Promise.race([this.request("shutdown", null).catch(() => undefined), bound]);
    clearTimeout(timer);
    await worker.terminate();
  }

  private start(): Worker {
    if (this.worker) return this.worker;
    const title = basename(process.argv[1] ?? "node");
    const worker = new Worker(join(__dirname, "..", "worker.js"), {
      name: "lazycluster engine",
      workerData: { title },
      // What a notebook sets later counts too, such as SSH_AUTH_SOCK.
      env: SHARE_ENV,
      execArgv: [],
    });
    this.worker = worker;
    worker.unref();
    // A thread that came up counts again, whatever was said before.
    worker.once("online", () => this.letGo());
    worker.on("message", (messages: readonly EngineMessage[]) => messages.forEach((message) => this.receive(message)));
    worker.on("messageerror", (error) => {
      // An end may have been among it: whoever waits shall not do so for ever.
      this.log("error", `a message of the engine cannot be read: ${error.message}`);
      void worker.terminate();
    });
    worker.on("error", (error) => this.log("error", `the engine failed: ${error.stack ?? error.message}`));
    worker.on("exit", () => this.ended(worker));
    process.once("beforeExit", this.onBeforeExit);
    // A thread that is cut off by process.exit() clears nothing up.
    process.off("exit", clearUp).once("exit", clearUp);
    return worker;
  }

  private readonly onBeforeExit = (): void => {
    void this.shutdown();
  };

  private receive(message: EngineMessage): void {
    switch (message.type) {
      case "response": {
        const request = this.requests.get(message.id);
        this.requests.delete(message.id);
        this.letGo();
        if (message.ok) request?.resolve(message.result);
        else request?.reject(new EngineFailure(message.failure));
        break;
      }
      case "execution":
        this.deliver(message.id, message.changes);
        break;
      case "callOutput":
        this.calls.get(message.id)?.(message.stream, message.data);
        break;
      case "exposure":
        this.tellExposure(message.id, message.change);
        break;
      case "prompt":
        void this.answer(message.id, message.promptId, message.request);
        break;
      case "log":
        this.log(message.level, message.message);
        break;
    }
  }

  private deliver(id: string, changes: readonly ExecutionChange[]): void {
    const listener = this.executions.get(id);
    if (!listener) return;
    if (changes.some((change) => change.kind === "detached")) this.holding.delete(id);
    if (changes.some((change) => change.kind === "end")) {
      this.executions.delete(id);
      this.holding.delete(id);
    }
    listener(changes);
    this.letGo();
  }

  private tellExposure(id: string, change: ExposureChange): void {
    const listener = this.exposures.get(id);
    if (change.kind === "end") this.exposures.delete(id);
    listener?.(change);
  }

  private async answer(id: number, promptId: number, request: PromptRequest): Promise<void> {
    let answers: string[] | null = null;
    try {
      answers = (await this.prompts.get(promptId)?.(request)) ?? null;
    } catch (error) {
      this.log("debug", `the prompt was not answered: ${String(error)}`);
    }
    this.worker?.postMessage({ type: "promptAnswer", id, answers } satisfies ClientMessage);
  }

  /** The process lives on while something runs, and not a moment longer for our sake. */
  private keepAlive(worker: Worker): void {
    worker.ref();
  }

  private letGo(): void {
    if (this.requests.size === 0 && this.holding.size === 0) this.worker?.unref();
  }

  private ended(worker: Worker): void {
    if (this.worker !== worker) return;
    this.worker = null;
    process.off("beforeExit", this.onBeforeExit);
    const failure = new EngineFailure({
      code: "ERR_OTHER",
      message: "the engine ended; what it ran on the hosts ends by itself",
    });
    for (const { reject } of this.requests.values()) reject(failure);
    this.requests.clear();
    for (const id of [...this.exposures.keys()]) this.tellExposure(id, { kind: "end", failure: failure.data });
    for (const id of [...this.executions.keys()]) {
      this.deliver(id, [{ kind: "end", state: "lost", failure: { ...failure.data, task: null }, time: Date.now() }]);
    }
  }
}

function clearUp(): void {
  removeSockets();
  endSignsOfLife();
}

let shared: EngineClient | null = null;

/** The engine of this process; there is one. */
export function engineClient(): EngineClient {
  shared ??= new EngineClient();
  return shared;
}
