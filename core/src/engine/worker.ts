/** The engine's thread: the port to the library on one side, the engine on the other. */
import { parentPort, workerData } from "worker_threads";
import { Engine } from "./engine";
import {
  type CallResult,
  type ClientMessage,
  type EngineMessage,
  type ExecutionChange,
  memoryOf,
  toFailureData,
} from "./protocol";

const port = parentPort;
if (!port) throw new Error('this file is the engine\'s thread; import "lazycluster" instead');

/** Changes of this turn by execution; they leave in one message. */
let pending = new Map<string, ExecutionChange[]>();
const prompts = new Map<number, (answers: string[] | null) => void>();
let nextPrompt = 1;

function post(message: EngineMessage, transfer: ArrayBuffer[] = []): void {
  port?.postMessage(message, transfer);
}

function flush(): void {
  const leaving = pending;
  pending = new Map();
  for (const [id, changes] of leaving) {
    const transfer = changes.flatMap((change) => (change.kind === "value" ? memoryOf(change.value) : []));
    post({ type: "execution", id, changes }, transfer);
  }
}

const engine = new Engine(
  {
    changed: (id, change) => {
      if (pending.size === 0) queueMicrotask(flush);
      const changes = pending.get(id);
      if (changes) changes.push(change);
      else pending.set(id, [change]);
    },
    callOutput: (id, stream, data) => post({ type: "callOutput", id, stream, data }),
    exposureChanged: (id, change) => post({ type: "exposure", id, change }),
    log: (level, message) => post({ type: "log", level, message }),
    prompt: (promptId, request) =>
      new Promise((resolve, reject) => {
        const id = nextPrompt++;
        prompts.set(id, (answers) => {
          prompts.delete(id);
          if (answers) resolve(answers);
          else reject(new Error("the question was not answered"));
        });
        post({ type: "prompt", id, promptId, request });
      }),
  },
  (workerData as { title: string }).title,
);

// A fault of ours in one corner must not take every connection with it; it is told, loudly.
process.on("unhandledRejection", (reason) => {
  post({
    type: "log",
    level: "error",
    message: `a fault in the engine: ${reason instanceof Error ? (reason.stack ?? reason.message) : String(reason)}`,
  });
});

port.on("message", (message: ClientMessage) => {
  if (message.type === "promptAnswer") {
    prompts.get(message.id)?.(message.answers);
    return;
  }
  const { id } = message;
  engine.handle(message.kind, message.body as never).then(
    (result) => {
      // What happened before the answer is told before it.
      flush();
      const transfer = message.kind === "call" ? memoryOf((result as CallResult).value) : [];
      post({ type: "response", id, ok: true, result }, transfer);
    },
    (error: unknown) => post({ type: "response", id, ok: false, failure: toFailureData(error) }),
  );
});
