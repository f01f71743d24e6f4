import { inspect } from "util";
import { type Displayable, type MimeBundle, jupyterDisplay, objectBundle, showLive } from "../display";
import type { HandleRef } from "../engine/protocol";
import { LazyclusterError } from "../errors";
import type { DisplayParts } from "./display-object";
import { EXT, type Travels, type ValueWriter, type Written, travels } from "./values";

/** Where the object of a handle is, and what can be done with it there. */
export interface HandleHome {
  /** For a call on a host. Throws LazyclusterError when it is gone. */
  ref(): HandleRef;
  /** Its id in the process that a call goes to, when it lives in that very one; else null. Throws LazyclusterError when it is gone. */
  idFor(destination: object | null): number | null;
  /** Its value as data. */
  load(handle: PyHandle): Promise<unknown>;
  /** Frees it. Never rejects. */
  free(): Promise<void>;
}

/** Handles that nobody can reach any more free their object. */
const forgotten = new FinalizationRegistry<HandleHome>((home) => void home.free());

/** The kept process that the document being written goes to, and the handles in it; writing is synchronous, so there is one at a time. */
let writing: { readonly process: object | null; readonly handles: PyHandle[] } | null = null;

/**
 * @internal Writes a document for a call in a kept process (null: elsewhere), whose own objects travel as what they are there.
 * Gives the handles that it names too.
 */
export function writingFor<T>(process: object | null, write: () => T): { written: T; handles: PyHandle[] } {
  const handles: PyHandle[] = [];
  writing = { process, handles };
  try {
    return { written: write(), handles };
  } finally {
    writing = null;
  }
}

/**
 * A Python object that stays where it was made; may be an argument there and on hosts of the same Python minor version. Calls give
 * one for what is not data. (It is kept in a file of its host, or in the bridge.)
 *
 * @example
 * ```ts
 * const [model] = await train.returns(); // a scikit-learn model: a PyHandle
 * await runtime.executeFunction(predict, { model, rows });
 * ```
 */
export class PyHandle implements Displayable, Travels {
  readonly repr: string;
  /** Qualified type name, such as `sklearn.svm._classes.SVC`. */
  readonly type: string;
  /** Where it lives; `localhost` for the bridge. */
  readonly host: string;
  readonly #forms: DisplayParts["forms"];
  readonly #trusted: boolean;
  readonly #home: HandleHome;
  #disposed: Promise<void> | null = null;

  /** @internal Handles come from calls. */
  static of(parts: DisplayParts, home: HandleHome): PyHandle {
    return new PyHandle(parts, home);
  }

  private constructor(parts: DisplayParts, home: HandleHome) {
    this.repr = parts.repr;
    this.type = parts.type;
    this.host = parts.host;
    this.#forms = parts.forms;
    this.#trusted = parts.trusted;
    this.#home = home;
    forgotten.register(this, home, this);
  }

  /**
   * Its value as data. Loads it there, so code that it carries runs there.
   *
   * @throws LazyclusterError `ERR_PYTHON` when it is not data, or gone; as a rejection.
   */
  async value(): Promise<unknown> {
    return this.#living().load(this);
  }

  /** Frees it; also when garbage collected. Later uses fail. */
  dispose(): Promise<void> {
    this.#disposed ??= this.#free();
    return this.#disposed;
  }

  [jupyterDisplay](): MimeBundle {
    const repr = `${this.repr}\n(${this.type} on ${this.host})`;
    return objectBundle({ repr, host: this.host, forms: this.#forms, trusted: this.#trusted });
  }

  [inspect.custom](depth: number, options: { depth?: number | null }): string {
    // Inside of something else, one line.
    if (depth < (options.depth ?? Infinity))
      return `PyHandle<${label(this).replace("the object ", "")} on ${this.host}>`;
    return showLive(depth, () => this[jupyterDisplay](), null);
  }

  /** @internal */
  [travels](writer: ValueWriter): Written {
    const id = this.idFor(writing?.process ?? null);
    writing?.handles.push(this);
    return id === null ? writer.ext(EXT.handle, writer.attach(this)) : writer.ext(EXT.reference, id);
  }

  /** @internal Throws LazyclusterError when it is gone. */
  ref(): HandleRef {
    return this.#living().ref();
  }

  /** @internal Throws LazyclusterError when it is gone. */
  idFor(process: object | null): number | null {
    return this.#living().idFor(process);
  }

  #living(): HandleHome {
    if (!this.#disposed) return this.#home;
    throw new LazyclusterError(`${this.host}: ${label(this)} was disposed.`, { code: "ERR_PYTHON", host: this.host });
  }

  async #free(): Promise<void> {
    forgotten.unregister(this);
    await this.#home.free();
  }
}

/** A handle in an error message. */
export function label(parts: { readonly repr: string; readonly type: string }): string {
  const repr = parts.repr.length > 60 ? `${parts.repr.slice(0, 60)}…` : parts.repr;
  return `the object ${repr.replace(/\s+/g, " ")} (${parts.type})`;
}
