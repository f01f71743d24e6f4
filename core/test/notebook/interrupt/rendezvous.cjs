/**
 * A process that is interrupted again and again, with each delay of its one thread together with each of the other, in each
 * kind of work. Prints one line of JSON: what became of it.
 */
const { AsyncLocalStorage, AsyncResource } = require("node:async_hooks");
const path = require("node:path");
const vm = require("node:vm");
const { Worker, isMainThread, parentPort, workerData } = require("node:worker_threads");

const dist = path.join(__dirname, "..", "..", "..", "dist", "notebook");
const { Interrupter, ThreadState } = require(path.join(dist, "wire.js"));

const MAIN = ["", "met", "standing", "released", "leaving"];
const WIRE = ["", "offered", "withdrawing", "found standing", "claimed", "posting", "posted"];
const WORKS = ["waits", "contexts", "loop", "turns"];
/** [ms] Longer than anything here is patient. */
const DELAY_MS = 5;
const STAND_MS = 1;
const HEAR_MS = 1;

/** What is delayed: the steps' places in the lists above. And whether the work goes on, and has begun. */
const memory = isMainThread ? new SharedArrayBuffer(16) : workerData.delays;
const delays = new Int32Array(memory);
const GOES_ON = 2;
const BEGUN = 3;

/** @param {readonly string[]} steps @param {number} slot */
function delayAt(steps, slot) {
  return (/** @type {string} */ step) => {
    if (steps[Atomics.load(delays, slot)] !== step) return;
    for (const end = performance.now() + DELAY_MS; performance.now() < end;);
  };
}

if (isMainThread) main();
else wire();

function main() {
  const { prepareToBeStopped } = require(path.join(dist, "interrupt", "prepare.js"));
  const state = new ThreadState(undefined, { standMs: STAND_MS, delay: delayAt(MAIN, 0) });
  prepareToBeStopped(state);
  const counts = { rounds: 0, stopped: 0, heard: 0, waits: 0, contexts: 0, loop: 0, turns: 0 };
  Object.assign(globalThis, {
    counts,
    context: new AsyncLocalStorage(),
    resource: new AsyncResource("own"),
    goesOn: () => {
      Atomics.store(delays, BEGUN, 1);
      return Atomics.load(delays, GOES_ON) === 1;
    },
  });
  // As code of a cell.
  const works = vm.runInThisContext(
    `({
      waits: () => void context.run(1, async () => { while (goesOn()) { await null; counts.waits++; } }),
      contexts: () => { while (goesOn()) { resource.runInAsyncScope(inside); counts.contexts++; } },
      loop: () => { while (goesOn()) counts.loop++; },
      turns: async () => { while (goesOn()) { inside(); counts.turns++; await new Promise(setImmediate); } },
    });
    function inside() { let sum = 0; for (let i = 0; i < 3; i++) sum += i; return sum; }`,
    { filename: "In[1]" },
  );
  const worker = new Worker(__filename, { workerData: { state: state.memory, delays: memory } });
  worker.on("message", (message) => {
    if (message === "end") {
      console.log(JSON.stringify(counts));
      process.exit(0);
    }
    if (message in works) {
      Atomics.store(delays, GOES_ON, 1);
      counts.rounds++;
      setImmediate(works[message]);
      return;
    }
    Atomics.store(delays, GOES_ON, 0);
    counts[message]++;
    state.hear();
  });
}

async function wire() {
  parentPort.ref();
  const state = new ThreadState(workerData.state, { delay: delayAt(WIRE, 1) });
  const interrupter = new Interrupter(
    state,
    { tell: () => parentPort.postMessage("heard"), stopped: () => parentPort.postMessage("stopped") },
    HEAR_MS,
  );
  for (const work of WORKS) {
    for (let there = 0; there < MAIN.length; there++) {
      for (let here = 0; here < WIRE.length; here++) {
        Atomics.store(delays, 0, there);
        Atomics.store(delays, 1, here);
        Atomics.store(delays, BEGUN, 0);
        parentPort.postMessage(work);
        while (Atomics.load(delays, BEGUN) === 0) await new Promise((resolve) => setTimeout(resolve, 1));
        await interrupter.interrupt();
      }
    }
  }
  parentPort.postMessage("end");
}
