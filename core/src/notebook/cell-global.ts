/** What the compiled code of cells calls: awaiting through the kernel, and magics. */
import type { NotebookHost } from "../display/host";
import type { Magics } from "./magics";
import type { Scopes } from "./scope";
import { CELL_GLOBAL } from "./source/magics";

export class CellGlobal {
  constructor(
    private readonly scopes: Scopes,
    private readonly magics: Magics,
    private readonly host: NotebookHost,
  ) {}

  install(): void {
    Object.defineProperty(globalThis, CELL_GLOBAL, { value: this, configurable: true });
  }

  /** `await` outside functions: the cell that it stands in awaits it. */
  wait<T>(id: number, work: () => Promise<T>): Promise<T> {
    const cell = this.scopes.find(id);
    return cell ? this.scopes.run(cell, () => cell.guard(work)) : work();
  }

  /** `await` in a function of a cell: whoever called it may have been interrupted. */
  pass<T>(value: T | PromiseLike<T>): T | PromiseLike<T> {
    const cell = this.scopes.current();
    return cell ? cell.guard(() => value) : value;
  }

  waitEach<T>(id: number, values: Values<T>): AsyncIterable<T> {
    return each(values, (work) => this.wait(id, work));
  }

  passEach<T>(values: Values<T>): AsyncIterable<T> {
    return each(values, async (work) => this.pass(work()));
  }

  /** `%lazycluster …`: shows what the command gives. */
  async line(text: string): Promise<void> {
    await this.magics.show(text, null, this.host);
  }

  /** `const x = %lazycluster …`: gives it as data. */
  value(text: string): Promise<unknown> {
    return this.magics.value(text, null, this.host);
  }

  /** `%%lazycluster …` with the lines below it. */
  cell(text: string, body: string): Promise<unknown> {
    return this.magics.show(text, body, this.host);
  }
}

type Values<T> = AsyncIterable<T> | Iterable<T | PromiseLike<T>>;

function each<T>(values: Values<T>, guarded: <R>(work: () => Promise<R>) => Promise<R>): AsyncIterable<T> {
  return {
    [Symbol.asyncIterator]: () => {
      const iterator: AsyncIterator<T, undefined, undefined> = inTurn(values);
      return {
        next: () => guarded(() => iterator.next()),
        return: async () => (await iterator.return?.()) ?? { done: true, value: undefined },
      };
    },
  };
}

/** As `for await` goes through them. */
async function* inTurn<T>(values: Values<T>): AsyncGenerator<T, undefined, undefined> {
  yield* values as AsyncIterable<T>;
  return undefined;
}
