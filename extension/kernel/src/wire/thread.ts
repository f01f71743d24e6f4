/**
 * The thread that talks to Jupyter. It is not the one that runs cells, so that a cell that keeps the main thread busy stops
 * no heartbeat, no output and no interrupt.
 */
import { Interrupter, type Request, TextRing, ThreadState } from "lazycluster/notebook/wire";
import { parentPort, workerData } from "worker_threads";
import { Outbox } from "./outbox";
import { Sockets } from "./sockets";
import { CLOSED, type FromWire, type WireData } from "./thread-messages";

/** [ms] that the main thread has for a shutdown before it is ended with what it does. */
const SHUTDOWN_MS = 2000;

const port = parentPort;
if (!port) throw new Error("This is a thread of the kernel; start main.js instead.");
const { connection, state, info, backlog, printed } = workerData as WireData;
const sockets = new Sockets(connection);
const waiting = new Int32Array(backlog);
const tell = (message: FromWire): void => port.postMessage(message);
const interrupter = new Interrupter(new ThreadState(state), {
  tell: () => tell({ type: "interrupt" }),
  stopped: () => tell({ type: "stopped" }),
});

/** What needs nothing of the main thread is answered here, at once. */
function receive(request: Request): void {
  switch (request.header.msg_type) {
    case "kernel_info_request":
      void answer(request, "kernel_info_reply", info);
      return;
    case "interrupt_request":
      void interrupter.interrupt();
      void answer(request, "interrupt_reply", { status: "ok" });
      return;
    case "shutdown_request":
      void shutdown(request);
      return;
    default:
      tell({ type: "request", request });
  }
}

async function answer(request: Request, type: string, content: Readonly<Record<string, unknown>>): Promise<void> {
  const { channel, identities, header: parent } = request;
  await status("busy");
  await sockets.send({ channel, identities, type, parent, content });
  await status("idle");
  outbox.repeatBusy();

  function status(execution_state: "busy" | "idle"): Promise<void> {
    return sockets.send({ channel: "iopub", identities: [], type: "status", parent, content: { execution_state } });
  }
}

async function shutdown(request: Request): Promise<void> {
  setTimeout(() => {
    outbox.flush();
    const restart = request.content["restart"] === true;
    void answer(request, "shutdown_reply", { status: "ok", restart })
      .then(() => sockets.close())
      .then(() => process.kill(process.pid, "SIGKILL"));
  }, SHUTDOWN_MS);
  tell({ type: "request", request });
  await interrupter.interrupt();
}

const outbox = new Outbox(port, new TextRing(printed), sockets, left, () => {
  void sockets.close().then(() => {
    Atomics.store(waiting, CLOSED, 1);
    Atomics.notify(waiting, CLOSED);
    tell({ type: "closed" });
    port.close();
  });
});

function left(size: number): void {
  Atomics.sub(waiting, 0, size);
  Atomics.notify(waiting, 0);
}

sockets.bind().then(
  () => {
    sockets.listen(receive);
    tell({ type: "bound" });
    void sockets.send({
      channel: "iopub",
      identities: [],
      type: "status",
      parent: null,
      content: { execution_state: "starting" },
    });
  },
  (error: unknown) => tell({ type: "failed", message: error instanceof Error ? error.message : String(error) }),
);
