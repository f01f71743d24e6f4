/**
 * What users write, as far as it exists: type-checked against the built package by a notebook's compiler (types.test.ts);
 * the reference's README examples are also run (readme.test.ts).
 */
import { createReadStream } from "fs";
import { createInterface } from "readline";
import {
  Connection,
  Environment,
  LazyclusterError,
  NoPortsLeftError,
  PortExposure,
  PortInUseError,
  PyDisplay,
  PyHandle,
  PythonVersionError,
  Runtime,
  RuntimeGroup,
  RuntimeManager,
  RuntimeTask,
  TaskExecutionError,
  bridge,
  dataFrame,
  jupyterDisplay,
  ndarray,
  py,
  pyFile,
  pyFloat,
  pyModule,
} from "lazycluster";
import type {
  CommandOptions,
  Execution,
  ExposureOptions,
  GroupExecuteOptions,
  HostResult,
  MimeBundle,
  ProcessHandle,
  PyFunction,
  RuntimeInfo,
  DataFrame,
  NdArray,
  PyValue,
  RuntimeOptions,
  Session,
  SessionState,
  TaskState,
  TaskStep,
} from "lazycluster";

const hello = py`
def hello(name: str):
    return 'Hello ' + name + '!'
`;

export async function firstTask() {
  let task = new RuntimeTask("my-first_task").runCommand("echo Hello World!").runFunction(hello, { name: "World" });
  task = await new Runtime("host-1").executeTask(task, { executeAsync: false });
  task.printLog();
  const generator = task.functionReturns;
  console.log((await generator.next()).value);
}

export async function runtimesAndGroups() {
  const rt1 = new Runtime("host-1");
  const rt2 = new Runtime("host-2", { workingDir: "/workspace" });
  const mixed = new RuntimeGroup([rt1, rt2]);
  const same = new RuntimeGroup({ runtimes: [rt1, rt2] });
  const group = new RuntimeGroup({ hosts: ["host-1", "host-2"], workingDir: "/workspace" });

  const rt = new Runtime("host-1");
  rt.envVariables = { foo: "bar" };
  rt.addEnvVariables({ more: "1" });
  group.setEnvVariables({ foo: "bar" });
  await rt.executeTask(new RuntimeTask().runCommand(`ls "$${Runtime.WORKING_DIR_ENV_VAR_NAME}"`));
  return [mixed, same, group];
}

export async function managerGroup() {
  const runtimeGroup = await (await RuntimeManager.create()).createGroup();
  const strong = await (
    await RuntimeManager.create()
  ).createGroup({
    gpuRequired: true,
    minMemory: 8192,
    installedExecutables: ["git", "nvcc"],
    excludeHosts: "host-3",
  });
  return [runtimeGroup, strong];
}

export async function exposePorts() {
  const runtime = new Runtime("host-1");
  const key = await runtime.exposePortFromRuntime(50000);
  await runtime.exposePortToRuntime(40000);
  await runtime.stopProcess(key);

  const group = new RuntimeGroup("host-1", "host-2", "host-3");
  await group.exposePortToRuntimes(50000);
  await group.exposePortToRuntimes(50000, undefined, "host-3");
  const port: number = await group.exposePortFromRuntimeToGroup("host-1", 40000, [40000, 40001]);
  return port;
}

export async function files() {
  const task = new RuntimeTask("file-transfer");
  task.sendFile("local_path/file.csv").runCommand("mkdir results && sort file.csv > results/sorted.csv");
  const runtime = new Runtime("host-1");
  await runtime.executeTask(task, { executeAsync: false });
  await runtime.sendFile("local_path/file.csv", undefined, false);
  await runtime.getFile("results", "local_path");
  const group = await (await RuntimeManager.create()).createGroup();
  void group.sendFile("local_path/file.csv", undefined, true);
  await group.join();
  return group;
}

export async function preprocessing(filePath = "/path/to/file.csv") {
  const preprocess = py`
def preprocess(docs):
    return [str(doc).lower() for doc in docs]
`;
  const runtimeGroup = await (await RuntimeManager.create()).createGroup();
  const tasks: RuntimeTask[] = [];
  const distribute = (docs: string[]) =>
    tasks.push(runtimeGroup.executeTask(new RuntimeTask().runFunction(preprocess, { docs })).task);

  let column = -1;
  const docs: string[] = [];
  for await (const line of createInterface({ input: createReadStream(filePath) })) {
    const cells = line.split(";");
    if (column < 0) column = cells.indexOf("text");
    else if (docs.push(cells[column] ?? "") === 500) distribute(docs.splice(0));
  }
  if (docs.length) distribute(docs);
  await runtimeGroup.join();

  let index = 0;
  for await (const chunk of runtimeGroup.functionReturns) console.log(`Chunk: ${index++}`, chunk);
  return tasks;
}

export async function logging() {
  Environment.setThirdPartyLogLevel("info");
  Environment.setMainDirectory("./lazycluster");
  Environment.logger = { error: console.error, warn: console.warn, info: console.info, debug: () => undefined };

  const group = new RuntimeGroup({ hosts: ["gaia-1", "gaia-2"] });
  const finished: RuntimeTask = await group.executeTask(new RuntimeTask("debug-test").runCommand("python --version"), {
    debug: true,
  });
  const everywhere: RuntimeTask[] = await group.executeTask(new RuntimeTask("all").runCommand("python --version"), {
    broadcast: true,
  });

  const task = new RuntimeTask("exec-log-demo");
  task.runCommand("echo Hello");
  task.runCommand("echo lazycluster!");
  const runtime = new Runtime("host-1");
  const execution: Execution = runtime.executeTask(task);
  for await (const bytes of task.openLog(0, "stdout")) process.stdout.write(bytes);
  await execution;
  console.log(task.executionLog[0]);
  console.log(task.executionLog[1]);
  console.log(task.executionLogFilePath, finished.host, everywhere.length);
  runtime.printLog();
}

export async function errors() {
  const runtime = await Runtime.connect("host-1");
  const execution = runtime.executeTask(new RuntimeTask().runCommand("exit 3", { timeoutMs: 1000 }));
  try {
    await execution;
  } catch (error) {
    if (error instanceof TaskExecutionError)
      console.log(error.host, error.stepIndex, error.exitCode, error.logFile, error.output);
    else if (error instanceof LazyclusterError) console.log(error.code, error.message);
    else throw error;
  } finally {
    await runtime.close();
  }
}

export async function standalone() {
  const print = py`
def print_hello():
    print('Hello World!')
`;
  const connection = await Connection.open("host", { user: "me", identityFile: "~/.ssh/id_ed25519" });
  const task = await new RuntimeTask("my-task").runCommand("echo Hello World!").runFunction(print).execute(connection);
  task.printLog();
  await connection.close();
  return task.executionLog;
}

export async function everythingElse(signal: AbortSignal) {
  const options: RuntimeOptions = {
    python: "python3.11",
    leaseMs: 10_000,
    connection: { prompt: ({ prompts }) => Promise.resolve(prompts.map(() => "")) },
  };
  const command: CommandOptions = { timeoutMs: 5, pty: true, stdin: new Uint8Array(3), check: false };
  const sine: PyFunction = pyModule("math", "sin");
  return new Runtime("host-1", options).use(async (runtime) => {
    const task = new RuntimeTask()
      .runCommand("cat", command)
      .runFunction(pyFile("clean.py", "clean").named("other"), undefined, { args: [1, 2n, "x"] });
    task.on("progress", ({ bytes, totalBytes }) => console.log(bytes, totalBytes));
    task.on("end", ({ state, error }) => console.log(state, error?.code));
    const state: TaskState = task.state;
    const steps: readonly TaskStep[] = task.steps;
    const bundle: MimeBundle = task[jupyterDisplay]();
    await runtime.executeTask(task, { signal, debug: true, omitOnJoin: true });
    await runtime.executeFunction(sine, undefined, { args: [1.5], debug: false });
    const handles: Map<string, ProcessHandle> = runtime.getProcesses(true);
    for (const key of handles.keys()) await runtime.stopProcess(key);
    for await (const value of runtime.functionReturns) console.log(value);
    await runtime.join();
    return [
      state,
      steps.length,
      bundle["text/plain"],
      await runtime.workingDir,
      await runtime.echo("hi"),
      await task.returns(),
      task.clone().name,
    ];
  });
}

export async function portsToo(runtime: Runtime, group: RuntimeGroup, options: ExposureOptions) {
  try {
    const key = await runtime.exposePortToRuntime(8786, 18786, options);
    const handle = runtime.getProcess(key);
    if (handle instanceof PortExposure) return [handle.port, handle.reachable, handle.error?.message];
    await group.exposePortFromRuntimeToGroup("host-1", await runtime.getFreePort([1, 2]), undefined, { anyUser: true });
    return [
      await runtime.hasFreePort(80),
      await group.hasFreePort(80, ["host-2"]),
      await group.getFreePort([80], true),
    ];
  } catch (error) {
    if (error instanceof PortInUseError) return [error.port];
    throw new NoPortsLeftError([80, 81]);
  }
}

export async function groupsToo(options: GroupExecuteOptions) {
  const manager = await RuntimeManager.create({ python: "python3.11", sshConfigFile: "~/.ssh/other" });
  for (const [host, reason] of manager.inactiveReasons) console.log(host, reason.code);
  const group = await manager.createGroup({ filterCommands: "test -e /data && echo true", workingDir: "~/work" });
  const either: Execution | Execution<RuntimeTask[]> = group.executeTask(new RuntimeTask().runCommand("true"), options);
  await either.cancel();
  const results: HostResult[] = await group.results();
  const info: RuntimeInfo = await group.getRuntime().info;
  const fits: boolean = await group.getRuntime("host-1").checkFilter({ minMemory: 1024, minCpuCores: 0.5 });
  return group.use((same) => [same.hosts, results, info.gpus, info.loadAverage, fits, manager.hosts]);
}

export async function pythonObjects(runtime: Runtime, other: Runtime) {
  const train = py`
def train(x):
    return object()
`;
  const values: PyValue = [1, 2n, "x", new Date(), new Set([1]), new Map([[1, "one"]]), { deep: [null, undefined] }];
  const frame: DataFrame = dataFrame({ a: new Float64Array(2), b: ["x", null] });
  const trained = await runtime.executeFunction(
    train,
    { x: ndarray(new Float64Array(4), [2, 2]), values, frame, half: pyFloat(2), helper: pyModule("math", "sin") },
    { result: "handle", python: ".venv" },
  );
  const [model] = (await trained.returns()) as [PyHandle];
  console.log(model.repr, model.type, model.host);
  try {
    const used = await other.executeFunction(model, { rows: new Int32Array(3) }, { args: [model, [model]] });
    const [result] = (await used.returns()) as [NdArray];
    console.log(result.dtype, result.shape, result.data.length, await model.value());
  } catch (error) {
    if (error instanceof PythonVersionError) console.log(error.found, error.needed);
  }
  await model.dispose();

  const { f } = await bridge.define("def f(x): return x");
  const value: unknown = await bridge.call(f!, [1], { y: 2 });
  await bridge.shipModule("helpers");
  await new RuntimeTask()
    .runFunction(f!, { x: value as number })
    .clone()
    .cleanup();
  await bridge.eval("1 + 1");
  await bridge.close();

  const session: Session = runtime.session("main", { python: "python3.11" });
  const cell = await session.run("1 + 1", { timeoutMs: 1000, result: "display", debug: true });
  cell.on("display", ({ step, display }) => console.log(step, display.repr, display.forms.get("image/png")));
  const [shown] = cell.displays;
  if (shown instanceof PyDisplay) console.log(shown[jupyterDisplay]()["text/plain"]);
  await session.call(f!, { x: 1 }, { args: [2], result: "data" });
  const state: SessionState = session.state;
  if (await session.interrupt()) await session.restart();
  await session.close();
  return state;
}
