/** The ext types of value documents (docs/agent-protocol.md), and how an object of another room travels. */

export const EXT = {
  integer: 1,
  buffer: 2,
  set: 3,
  map: 4,
  date: 5,
  array: 6,
  frame: 7,
  text: 8,
  handle: 9,
  reference: 10,
  function: 11,
  display: 12,
} as const;

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
