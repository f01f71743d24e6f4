/** The value of a call as it came: in memory, or in a private file that is read when somebody asks for it. */
import { rmSync } from "fs";
import type { ValueData } from "../engine/protocol";
import { LazyclusterError } from "../errors";
import { MAX_PATH, WireError, keptPaths } from "../wire";
import { type Origin, reviver } from "./revive";
import { watchSpool } from "./spooled";
import { type DecodeOptions, decodeDocument, decodePacked, readDocumentFile } from "./values";

interface Unread {
  readonly path: string;
  readonly origin: Origin;
}

const forgotten = new FinalizationRegistry<Unread>((unread) => void drop(unread));

export class ReceivedValue {
  #value: { readonly value: unknown } | null = null;
  #loading: Promise<unknown> | null = null;
  #path: string | null = null;

  /** Throws LazyclusterError for what is no value document: a host sent it. */
  constructor(
    data: ValueData,
    private readonly origin: Origin,
  ) {
    if (data.kind === "memory") {
      this.#value = { value: decodePacked(data, this.#options) };
      return;
    }
    watchSpool();
    this.#path = data.path;
    forgotten.register(this, { path: data.path, origin }, this);
  }

  /** Null while it is in its file. */
  get there(): { readonly value: unknown } | null {
    return this.#value;
  }

  /** The first call reads the file, which is removed then. Rejects LazyclusterError. */
  async load(): Promise<unknown> {
    if (this.#value) return this.#value.value;
    this.#loading ??= this.#read();
    return this.#loading;
  }

  /** Removes what nobody has asked for, also the objects on the host that it names. Never rejects. */
  async discard(): Promise<void> {
    const path = this.#path;
    if (path === null || this.#loading) return;
    this.#path = null;
    forgotten.unregister(this);
    await drop({ path, origin: this.origin });
  }

  async #read(): Promise<unknown> {
    const path = this.#path;
    const { host } = this.origin;
    if (path === null) {
      throw new LazyclusterError(`${host}: the value was removed by cleanup() before anybody had read it.`, { host });
    }
    try {
      const value = decodeDocument(await readDocumentFile(path), this.#options);
      this.#value = { value };
      return value;
    } catch (error) {
      if (error instanceof LazyclusterError) throw error;
      const why = error instanceof WireError || error instanceof Error ? error.message : String(error);
      throw new LazyclusterError(`${host}: a function's value could not be read: ${why}.`, { host, cause: error });
    } finally {
      this.#remove(path);
    }
  }

  get #options(): DecodeOptions {
    return { host: this.origin.host, revive: reviver(this.origin) };
  }

  #remove(path: string): void {
    this.#path = null;
    forgotten.unregister(this);
    rmSync(path, { force: true });
  }
}

/** Reads no more of it than where its objects are. Never rejects. */
async function drop({ path, origin }: Unread): Promise<void> {
  const nothing = { repr: "", type: "", host: origin.host, forms: new Map<string, string>(), trusted: false };
  try {
    const paths = keptPaths(await readDocumentFile(path, MAX_PATH));
    await Promise.all(paths.map((kept) => origin.kept(kept, nothing, "").free()));
  } catch {
    // What is no document names nothing.
  } finally {
    rmSync(path, { force: true });
  }
}
