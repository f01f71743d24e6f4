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

/** What happened in this turn of the loop, in order; it leaves in one message, for each one wakes the other thread. */
let pending: EngineMessage[] = [];
let memory: ArrayBuffer[] = [];
const prompts = new Map<number, (answers: string[] | null) => void>();
let nextPrompt = 1;

function post(message: EngineMessage, transfer: readonly ArrayBuffer[] = []): void {
  if (pending.length === 0) setImmediate(flush);
  pending.push(message);
  for (const part of transfer) memory.push(part);
}

function postChange(id: string, change: ExecutionChange): void {
  const transfer = change.kind === "value" ? memoryOf(change.value) : [];
  const last = pending.at(-1);
  if (last?.type !== "execution" || last.id !== id) {
    post({ type: "execution", id, changes: [change] }, transfer);
    return;
  }
  pending[pending.length - 1] = { ...last, changes: [...last.changes, change] };
  for (const part of transfer) memory.push(part);
}

function flush(): void {
  engine.flushJournal();
  const [messages, transfer] = [pending, memory];
  [pending, memory] = [[], []];
  port?.postMessage(messages, transfer);
}

const engine = new Engine(
  {
    changed: postChange,
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
      const transfer = message.kind === "call" ? memoryOf((result as CallResult).value) : [];
      post({ type: "response", id, ok: true, result }, transfer);
    },
    (error: unknown) => post({ type: "response", id, ok: false, failure: toFailureData(error) }),
  );
});
