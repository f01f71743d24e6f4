/** The value of a call as it came: in memory, or in a private file that is read when somebody asks for it. */
import { rmSync } from "fs";
import type { ValueData } from "../engine/protocol";
import { LazyclusterError } from "../errors";
import { WireError } from "../wire";
import { type Origin, reviver } from "./revive";
import { watchSpool } from "./spooled";
import { decodeDocument, readDocumentFile } from "./values";

const forgotten = new FinalizationRegistry<string>((path) => rmSync(path, { force: true }));

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
      this.#value = { value: this.#decode(data) };
      return;
    }
    watchSpool();
    this.#path = data.path;
    forgotten.register(this, data.path, this);
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

  /** Removes what nobody has asked for. */
  discard(): void {
    if (this.#path === null || this.#loading) return;
    this.#remove(this.#path);
  }

  async #read(): Promise<unknown> {
    const path = this.#path;
    const { host } = this.origin;
    if (path === null) {
      throw new LazyclusterError(`${host}: the value was removed by cleanup() before anybody had read it.`, { host });
    }
    try {
      const value = this.#decode(await readDocumentFile(path));
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

  #decode(document: { readonly tree: Uint8Array; readonly buffers: readonly ArrayBuffer[] }): unknown {
    return decodeDocument(document, { host: this.origin.host, revive: reviver(this.origin) });
  }

  #remove(path: string): void {
    this.#path = null;
    forgotten.unregister(this);
    rmSync(path, { force: true });
  }
}
