/** How an object of another room travels. */
import { EXT } from "../../wire";

export { EXT };

/** What reading leaves to the caller: handles, references, display objects. */
export type RevivedExt = typeof EXT.handle | typeof EXT.reference | typeof EXT.display;

/** The method by which an object says how it travels. */
export const travels: unique symbol = Symbol("lazycluster.travels") as never;

export interface Travels {
  [travels](writer: ValueWriter): Written;
}

/** What `ValueWriter.ext` gives; opaque. */
export interface Written {
  readonly ext: number;
}

export interface ValueWriter {
  /** An ext value. Its content may be any value that travels; of a handle (9) it is the index that `attach` gave. */
  ext(type: number, content: unknown): Written;
  /** Puts an object beside the document; gives its index in `EncodedDocument.attached`. */
  attach(object: unknown): number;
}
