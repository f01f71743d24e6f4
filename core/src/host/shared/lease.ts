/** Things that several use at once: made when the first asks, ended when the last has given it back. */
import { abortable } from "./within";
import { cancelled } from "./connection-errors";

/** The right to use one. Give it back exactly once. */
export interface Lease<T> {
  readonly value: T;
  /** Resolves when it has ended, if this was the last lease. Never rejects. */
  readonly release: () => Promise<void>;
}

interface Entry<T> {
  readonly ready: Promise<T>;
  readonly abort: AbortController;
  /** Leases, and those who wait for one. */
  users: number;
}

/** What there is to share. */
interface Sharable {
  /** Resolves when it is gone: from then on the next one gets a new one. */
  readonly closed: Promise<unknown>;
  /** Never rejects. */
  close(): Promise<void>;
}

export class Shared<T extends Sharable> {
  private readonly entries = new Map<string, Entry<T>>();
  private closing = false;

  /**
   * Rejects what `make` rejects with, which is not remembered; ERR_CANCELLED when the signal was aborted first.
   * @param make gets a signal that is aborted when nobody waits any more
   */
  async acquire(
    key: string,
    host: string,
    signal: AbortSignal,
    make: (signal: AbortSignal) => Promise<T>,
  ): Promise<Lease<T>> {
    if (this.closing) throw cancelled(host);
    const entry = this.entries.get(key) ?? this.start(key, make);
    entry.users += 1;
    let held = true;
    const release = async (): Promise<void> => {
      if (!held) return;
      held = false;
      entry.users -= 1;
      if (entry.users > 0) return;
      // Who comes from now on gets a new one.
      this.forget(key, entry);
      await dispose(entry);
    };
    try {
      return { value: await abortable(entry.ready, signal, host), release };
    } catch (error) {
      void release();
      throw error;
    }
  }

  /** Ends all, also those being made. */
  async close(): Promise<void> {
    this.closing = true;
    const entries = [...this.entries.values()];
    this.entries.clear();
    await Promise.all(entries.map(dispose));
  }

  private start(key: string, make: (signal: AbortSignal) => Promise<T>): Entry<T> {
    const abort = new AbortController();
    const entry: Entry<T> = { ready: make(abort.signal), abort, users: 0 };
    this.entries.set(key, entry);
    const forget = (): void => this.forget(key, entry);
    entry.ready.then((value) => void value.closed.then(forget), forget);
    return entry;
  }

  private forget(key: string, entry: Entry<T>): void {
    if (this.entries.get(key) === entry) this.entries.delete(key);
  }
}

async function dispose<T extends Sharable>({ abort, ready }: Entry<T>): Promise<void> {
  abort.abort();
  try {
    await (await ready).close();
  } catch {
    // It never came to be, which was told to those who waited for it.
  }
}
