/** The schedule of a round: a pure function of the seed, the number of the round, and what there is to play with. */
import type { ActionPlan, ExposurePlan, Place, RoundPlan, RuntimePlan, StepPlan, StopPlan, TaskPlan } from "./plan";
import { Random } from "./random";

export interface Playground {
  /** Whether the hosts have Node.js. */
  readonly js: boolean;
  /** [ms] within which everything of a round begins. */
  readonly spanMs: number;
  /** Tasks of a round. */
  readonly most: number;
}

/** Calm rounds show what must never fail, closing ones what the user ends, wild ones what breaks. */
type Mood = "calm" | "closing" | "wild";

const RUNTIMES: readonly RuntimePlan[] = [
  { place: "localhost", transport: "local", givenDir: false },
  { place: "localhost", transport: "local", givenDir: true },
  { place: "host-1", transport: "ssh2", givenDir: false },
  { place: "host-1", transport: "ssh2", givenDir: true },
  { place: "host-1", transport: "openssh", givenDir: false },
  { place: "host-2", transport: "ssh2", givenDir: true },
  { place: "host-2", transport: "openssh", givenDir: true },
  { place: "host-2", transport: "openssh", givenDir: false },
];

export function scheduleOf(seed: number, round: number, playground: Playground): RoundPlan {
  const random = Random.of(seed, round);
  const mood = random.weighted<Mood>([
    [4, "calm"],
    [2, "closing"],
    [4, "wild"],
  ]);
  const runtimes = Array.from({ length: random.int(1, 4) }, () => random.pick(RUNTIMES));
  const actions: ActionPlan[] = [];
  const maker = new Maker(random, playground, runtimes);
  const count = random.int(Math.ceil(playground.most / 4), playground.most);
  for (let index = 0; index < count; index++) actions.push(...maker.something());
  if (mood !== "calm") actions.push(...maker.closes());
  if (mood === "wild") actions.push(...maker.breaks());
  return { seed, round, runtimes, actions: numberCells(actions.sort((one, other) => one.at - other.at)) };
}

/** In the order in which they are run. */
function numberCells(actions: readonly ActionPlan[]): ActionPlan[] {
  const counts = new Map<string, number>();
  return actions.map((action) => {
    if (action.do !== "task" || action.session === null) return action;
    const key = `${action.runtime} ${action.session}`;
    const number = (counts.get(key) ?? 0) + 1;
    counts.set(key, number);
    return { ...action, steps: action.steps.map((step) => (step.kind === "cell" ? { ...step, number } : step)) };
  });
}

class Maker {
  private count = 0;

  constructor(
    private readonly random: Random,
    private readonly playground: Playground,
    private readonly runtimes: readonly RuntimePlan[],
  ) {}

  something(): ActionPlan[] {
    return this.random.weighted<() => ActionPlan[]>([
      [12, () => [this.task(false)]],
      [2, () => [this.task(true)]],
      [3, () => this.sessionCells()],
      [2, () => this.exposure()],
    ])();
  }

  closes(): ActionPlan[] {
    return Array.from({ length: this.random.int(1, 3) }, () => ({
      do: "close",
      at: this.when(),
      runtime: this.runtime(),
    }));
  }

  breaks(): ActionPlan[] {
    const { random } = this;
    return Array.from({ length: random.int(1, 3) }, (): ActionPlan => {
      const place: Place = random.pick(this.runtimes).place;
      const at = this.when();
      if (place !== "localhost" && random.chance(0.6)) return { do: "cut", at, place };
      return { do: "kill", at, place, what: random.chance(0.7) ? "agent" : "keeper", which: random.int(0, 7) };
    });
  }

  private when(): number {
    return this.random.int(0, this.playground.spanMs);
  }

  private runtime(): number {
    return this.random.int(0, this.runtimes.length - 1);
  }

  private name(kind: string): string {
    this.count += 1;
    return `${kind}${this.count}`;
  }

  private task(detach: boolean): TaskPlan {
    const { random } = this;
    const name = this.name(detach ? "detached" : "task");
    const parts = Array.from(
      {
        length: random.weighted([
          [5, 1],
          [3, 2],
          [2, 4],
        ]),
      },
      (_, part) => this.part(`${name}-${part}`),
    );
    const steps = parts.flat();
    return {
      ...this.around(name, this.runtime()),
      steps: detach ? alone(steps) : steps,
      detach,
      session: null,
    };
  }

  private around(name: string, runtime: number): Omit<TaskPlan, "steps" | "detach" | "session"> {
    const { random } = this;
    return {
      do: "task",
      at: this.when(),
      name,
      runtime,
      stop: random.chance(0.35) ? this.stop() : null,
      reader: random.weighted([
        [6, "none"],
        [2, "event"],
        [1, "log"],
        [1, "slow log"],
      ]),
    };
  }

  private stop(): StopPlan {
    const { random } = this;
    const how = random.pick(["cancel", "abort", "terminate", "cleanup"] as const);
    const afterMs = random.weighted([
      [1, 0],
      [3, random.int(0, 30)],
      [4, random.int(30, 600)],
      [1, -1],
    ]);
    return afterMs < 0 ? { how: "abort", afterMs } : { how, afterMs };
  }

  /** Steps that belong together. */
  private part(name: string): StepPlan[] {
    const { random } = this;
    const seed = random.int(0, 3);
    return random.weighted<() => StepPlan[]>([
      [4, () => [{ kind: "lines", count: random.size(1, 30_000), stderr: random.chance(0.3), pauseMs: 0 }]],
      [1, () => [{ kind: "lines", count: random.int(2, 12), stderr: false, pauseMs: random.int(5, 60) }]],
      [1, () => [{ kind: "lines", count: random.size(100_000, 1_000_000), stderr: false, pauseMs: 0 }]],
      [2, () => [{ kind: "both", count: random.size(1, 2000) }]],
      [5, () => [this.sleep()]],
      [2, () => [{ kind: "exit", code: random.int(1, 255), check: random.chance(0.4) }]],
      [1, () => [{ kind: "signal", signal: random.pick(["KILL", "TERM", "SEGV"] as const) }]],
      [2, () => [{ kind: "stdin", bytes: random.size(1, 2_000_000), seed }]],
      [1, () => [{ kind: "pty", count: random.size(1, 300) }]],
      [1, () => [{ kind: "leave", quiet: random.chance(0.5) }]],
      [6, () => [this.call()]],
      [4, () => this.files(name, seed)],
      [3, () => this.folders(name, seed)],
    ])();
  }

  /** Often as long as its limit, which is where an end and a limit meet. */
  private sleep(): StepPlan {
    const { random } = this;
    const how = random.weighted([
      [3, "bare"],
      [3, "in a shell"],
      [1, "stubborn"],
    ] as const);
    const ms = random.int(0, 400);
    const limitMs = random.weighted<number | null>([
      [3, null],
      [3, Math.max(1, ms + random.int(-8, 25))],
      [1, random.int(1, 100)],
    ]);
    return { kind: "sleep", ms, limitMs, how };
  }

  private call(): StepPlan {
    const { random } = this;
    const sleepMs = random.chance(0.3) ? random.int(1, 400) : 0;
    const limited = sleepMs > 0 && random.chance(0.5);
    return {
      kind: "function",
      language: random.weighted([
        [5, "source"],
        [2, "file"],
        [this.playground.js ? 3 : 0, "js"],
      ]),
      lines: random.chance(0.2) ? random.size(100, 20_000) : random.int(0, 5),
      bytes: random.chance(0.2) ? random.size(1000, 3_000_000) : random.int(0, 100),
      seed: random.int(0, 3),
      sleepMs,
      limitMs: limited ? sleepMs + random.int(-10, 120) : null,
      end: random.weighted([
        [8, "value"],
        [1, "raise"],
        [1, "die"],
      ]),
    };
  }

  private files(name: string, seed: number): StepPlan[] {
    const bytes = this.random.weighted([
      [1, 0],
      [4, this.random.size(1, 100_000)],
      [2, this.random.size(100_000, 3_000_000)],
      [1, 20_000_000],
    ]);
    const file = { name, bytes, seed };
    return [
      { kind: "send", ...file },
      { kind: "hash", ...file },
      { kind: "get", ...file },
    ];
  }

  private folders(name: string, seed: number): StepPlan[] {
    const { random } = this;
    const files = random.size(1, 60);
    const down = random.pick(["getFolder", "syncDown"] as const);
    if (random.chance(0.4)) {
      return [
        { kind: "sendFolder", name, files, seed },
        { kind: down, name, files, seed },
      ];
    }
    // The second time some files are new, some changed, some gone.
    const last = random.chance(0.5) ? (seed + 1) % 4 : seed;
    return [
      { kind: "syncUp", name, files, seed },
      ...(last === seed ? [] : [{ kind: "syncUp", name, files, seed: last } as const]),
      { kind: down, name, files, seed: last },
    ];
  }

  private sessionCells(): ActionPlan[] {
    const { random } = this;
    const runtime = this.runtime();
    const session = random.pick(["one", "two"]);
    const cells = Array.from({ length: random.int(1, 4) }, (): ActionPlan => {
      const sleepMs = random.chance(0.3) ? random.int(1, 400) : 0;
      const limitMs = sleepMs > 0 && random.chance(0.4) ? sleepMs + random.int(-10, 60) : null;
      const name = this.name(`cell-${session}-`);
      return {
        ...this.around(name, runtime),
        steps: [{ kind: "cell", number: 0, sleepMs, limitMs }],
        detach: false,
        session,
      };
    });
    if (!random.chance(0.4)) return cells;
    const what = random.pick(["interrupt", "interrupt", "restart", "close"] as const);
    return [...cells, { do: "session", at: this.when(), runtime, name: session, what }];
  }

  private exposure(): ActionPlan[] {
    const { random } = this;
    const runtime = this.runtime();
    const name = this.name("port");
    const plan: ExposurePlan = {
      do: "expose",
      at: this.when(),
      name,
      runtime,
      direction: random.pick(["to", "from"] as const),
      anyUser: random.pick([null, true, false]),
      bytes: random.size(1, 1_000_000),
      seed: random.int(0, 3),
      stop: random.chance(0.5),
    };
    return [plan];
  }
}

/** As a task needs it that goes on without the manager: it sends first, fetches last, and runs something in between. */
function alone(steps: readonly StepPlan[]): StepPlan[] {
  const isSend = ({ kind }: StepPlan): boolean => ["send", "sendFolder", "syncUp"].includes(kind);
  const isFetch = ({ kind }: StepPlan): boolean => ["get", "getFolder", "syncDown"].includes(kind);
  return [
    ...steps.filter(isSend),
    { kind: "lines", count: 20, stderr: false, pauseMs: 20 },
    ...steps.filter((step) => !isSend(step) && !isFetch(step)),
    ...steps.filter(isFetch),
  ];
}
