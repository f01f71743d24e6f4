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
  try {
    port?.postMessage(messages, transfer);
  } catch {
    // One of them cannot travel, for want of memory say: the others must, ends above all.
    for (const message of messages.flatMap(single)) postAlone(message);
  }
}

function single(message: EngineMessage): EngineMessage[] {
  return message.type === "execution"
    ? message.changes.map((change) => ({ ...message, changes: [change] }))
    : [message];
}

function postAlone(message: EngineMessage): void {
  try {
    port?.postMessage([message]);
  } catch (error) {
    const failure = toFailureData(error);
    const instead: EngineMessage =
      message.type === "response"
        ? { type: "response", id: message.id, ok: false, failure }
        : { type: "log", level: "error", message: `a message of the engine was lost: ${failure.message}` };
    port?.postMessage([instead]);
  }
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
function tellFault(fault: unknown): void {
  const what = fault instanceof Error ? (fault.stack ?? fault.message) : String(fault);
  post({ type: "log", level: "error", message: `a fault in the engine: ${what}` });
}
process.on("unhandledRejection", tellFault);
process.on("uncaughtException", tellFault);

// Nobody knows who waits for it: better no engine than one that is silent.
port.on("messageerror", (error) => {
  throw error;
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
