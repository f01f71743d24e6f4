/** `enableTslab()`: a stock tslab kernel in this process gets what the kernel of this project has, from the next cell on. */
import { notebookHost } from "../../display/host";
import { Codec } from "../codec";
import type { TslabParts } from "../executor-parts";
import { ThreadState } from "../interrupt/thread-state";
import { Kernel } from "../kernel";
import type { Magics } from "../magics";
import type { Header, Outgoing, StreamName, Transport } from "../message";
import { Output } from "../output";
import { SendQueue } from "../send-queue";
import { HandedOn, StockExecutor, parseDiagnostics } from "./executor";
import type { StockModules, StockServer, StockSocket } from "./modules";

/** [ms] for the answer to a shutdown. */
const FAREWELL_MS = 100;

export function enableStock(modules: StockModules, magics: Magics): void {
  const { jupyter } = modules;
  const server = jupyter.ZmqServer.prototype;
  let enabled: { kernel: Kernel; codec: Codec } | null = null;
  const enable = (stock: StockServer): { kernel: Kernel; codec: Codec } => {
    if (enabled) return enabled;
    const codec = new Codec(stock.connInfo.key);
    enabled = { codec, kernel: makeKernel(modules, stock, codec, magics) };
    void listen(stock.stdin, codec, enabled.kernel);
    return enabled;
  };
  server.handleShellMessage = async function (socket, ...frames) {
    const { kernel, codec } = enable(this);
    let request;
    try {
      request = codec.decode(socket === this.control ? "control" : "shell", frames);
    } catch {
      // Whoever does not know the key is not answered.
      return;
    }
    await kernel.handle(request);
  };
}

function makeKernel(modules: StockModules, stock: StockServer, codec: Codec, magics: Magics): Kernel {
  const handedOn = new HandedOn();
  const found: { kernel: Kernel | null } = { kernel: null };
  const parts: TslabParts = {
    typescript: modules.typescript,
    createConverter: () => handedOn,
    createExecutor: (_root, converters, console) => {
      const executor = new StockExecutor(
        stock.handler.executor,
        (code) => found.kernel?.runner.awaitsOf(code) ?? { edits: [], topLevel: false },
        converters.node,
        handedOn,
        console,
        () => found.kernel?.runningCell ?? null,
        (code, output) => found.kernel?.runner.keepCompiled(code, output),
      );
      executor.onDiagnostics = (text) => found.kernel?.runner.setDiagnostics(parseDiagnostics(text));
      return executor;
    },
    printQuickInfo: modules.printQuickInfo,
    mapsOf: () => [],
  };
  const kernel = new Kernel({
    transport: new StockTransport(stock, codec),
    tslab: parts,
    state: new ThreadState(),
    magics,
    count: stock.handler.execCount,
    exit: () => {
      setTimeout(() => process.exit(0), FAREWELL_MS);
    },
  });
  found.kernel = kernel;
  // Whoever called enableTslab has loaded it.
  notebookHost()?.libraryLoaded();
  modules.jupyter.lastWriteDisplayData = (content: Readonly<Record<string, unknown>>, update: boolean) =>
    kernel.showDisplay(content, update);
  process.on("SIGINT", () => kernel.interrupt());
  return kernel;
}

/** tslab never reads the answers of users. */
async function listen(socket: StockSocket, codec: Codec, kernel: Kernel): Promise<void> {
  for await (const frames of socket) {
    try {
      await kernel.handle(codec.decode("stdin", frames));
    } catch {
      // Badly signed.
    }
  }
}

/** Sends one after the other: tslab's own way loses what a socket cannot take at once. */
class StockTransport implements Transport {
  private readonly leaving = new SendQueue<StockSocket>();
  private readonly output = new Output((message) => this.transmit(message));

  constructor(
    private readonly stock: StockServer,
    private readonly codec: Codec,
  ) {}

  send(...messages: readonly Outgoing[]): void {
    this.output.flush();
    for (const message of messages) this.transmit(message);
  }

  print(name: StreamName, text: string, parent: Header | null): void {
    this.output.write(name, text, parent);
  }

  private transmit(message: Outgoing): void {
    void this.leaving.send(this.stock[message.channel], this.codec.encode(message));
  }
}
