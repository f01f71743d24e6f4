/** The values that an execution has given so far. */
import type { ExecutionSpec, StepSpec, ValueData } from "../engine/protocol";
import { LazyclusterError } from "../errors";
import { PyDisplay, ReceivedValue, originOf } from "../python";

/** What the value of a cell is made of. */
interface CellValue {
  readonly value: unknown;
  readonly displays: readonly PyDisplay[];
}

export class RunValues {
  private readonly received = new Map<number, ReceivedValue>();
  private readonly shown = new Map<number, readonly PyDisplay[]>();

  constructor(
    private readonly spec: ExecutionSpec,
    private readonly trusted: boolean,
  ) {}

  /** What cells have shown, in order. */
  get displays(): PyDisplay[] {
    return [...this.shown.values()].flat();
  }

  /** Gives what a cell showed. Throws LazyclusterError for what is no value document. */
  receive(step: number, data: ValueData, agent: string): readonly PyDisplay[] {
    const value = new ReceivedValue(data, originOf(this.spec.owner, agent, this.trusted));
    this.received.set(step, value);
    if (!isCell(this.spec.steps[step]) || !value.there) return [];
    const { displays } = this.asCell(value.there.value);
    this.shown.set(step, displays);
    return displays;
  }

  has(step: number): boolean {
    return this.received.has(step);
  }

  /** Rejects LazyclusterError when there is none, or it cannot be read. */
  async load(step: number): Promise<unknown> {
    const value = await this.received.get(step)?.load();
    if (!isCell(this.spec.steps[step])) return value;
    const cell = this.asCell(value);
    this.shown.set(step, cell.displays);
    return cell.value;
  }

  /** Removes what nobody has asked for. Never rejects. */
  async discard(): Promise<void> {
    await Promise.all([...this.received.values()].map((value) => value.discard()));
  }

  private asCell(value: unknown): CellValue {
    const { value: last, displays } = (value ?? {}) as Partial<CellValue>;
    if (!Array.isArray(displays) || !displays.every((display) => display instanceof PyDisplay)) {
      const { host } = this.spec.owner.host;
      throw new LazyclusterError(`${host}: what a cell gave could not be read.`, { host });
    }
    return { value: last, displays };
  }
}

function isCell(step: StepSpec | undefined): boolean {
  return step?.kind === "runFunction" && step.fn.kind === "cell";
}
