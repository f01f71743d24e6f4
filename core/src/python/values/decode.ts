/** Values on their way from Python. A host sends them, so nothing in them is trusted. */
import { LazyclusterError } from "../../errors";
import {
  type CutDocument,
  type Decoded,
  DocumentCutter,
  Ext,
  MAX_SPECIALS,
  MAX_TREE,
  type PackedDocument,
  WireError,
  decode,
  documentLengths,
  unpackDocument,
} from "../../wire";
import { DataFrameValue } from "./data-frame";
import type { Column } from "./types";
import { arrayType, isNative } from "./dtypes";
import { MAX_DIGITS } from "./encode";
import { EXT, type RevivedExt } from "./ext";
import { NdArrayValue, isShape, sizeOf } from "./ndarray";
import { decodeTexts } from "./text-column";

export interface DecodeOptions {
  /** For messages. */
  readonly host: string;
  /** Makes what a handle, a reference or a display object stands for from its content, a plain object. Default: refused. */
  readonly revive?: (type: RevivedExt, content: unknown) => unknown;
}

const DIGITS = /^-?(?:0|[1-9]\d*)$/;
/** [ms] that a Date can hold, both ways. */
const MAX_DATE = 8.64e15;

/**
 * The value of a document, whose buffers are not copied. Throws LazyclusterError for what is no value document: a host
 * sent it.
 */
export function decodeDocument(document: CutDocument, options: DecodeOptions): unknown {
  return reading(options.host, () => {
    const { tree, buffers } = document;
    if (tree.byteLength > MAX_TREE) throw new WireError("a tree that is too long");
    const lengths = documentLengths(tree);
    if (lengths.length !== buffers.length || lengths.some((length, at) => length !== buffers[at]?.byteLength)) {
      throw new WireError("buffers that are not those of the tree");
    }
    return new Reader(buffers, options.revive ?? refuse).document(tree);
  });
}

/** The same as it came from another thread. */
export function decodePacked(document: PackedDocument, options: DecodeOptions): unknown {
  return decodeDocument(
    reading(options.host, () => unpackDocument(document)),
    options,
  );
}

/** The same for a document in one piece. */
export function decodeValue(document: Uint8Array, host: string, revive: DecodeOptions["revive"] = refuse): unknown {
  const cut = reading(host, () => {
    const cutter = new DocumentCutter();
    cutter.push(document);
    return cutter.finish();
  });
  return decodeDocument(cut, { host, revive });
}

function reading<T>(host: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    const why = error instanceof WireError ? error.message : String(error);
    throw new LazyclusterError(`${host}: a function's value could not be read: ${why}.`, { host, cause: error });
  }
}

function refuse(type: RevivedExt): never {
  throw new WireError(`a special value of type ${String(type)}`);
}

class Reader {
  private readonly taken = new Set<number>();
  private exts = 0;

  constructor(
    private readonly buffers: readonly ArrayBuffer[],
    private readonly revive: (type: RevivedExt, content: unknown) => unknown,
  ) {}

  document(tree: Uint8Array): unknown {
    const pair = decode(tree, { ext: true });
    if (!Array.isArray(pair) || pair.length !== 2) throw new WireError("no document");
    return this.value(pair[1] ?? null, 1);
  }

  /** @param depth containers around the value. */
  private value(value: Decoded, depth: number): unknown {
    if (typeof value !== "object" || value === null || value instanceof Uint8Array) return value;
    if (Array.isArray(value)) return value.map((item) => this.value(item, depth + 1));
    if (value instanceof Map) {
      const object: Record<string, unknown> = {};
      for (const [key, item] of value) setOwn(object, key, this.value(item, depth + 1));
      return object;
    }
    if ((this.exts += 1) > MAX_SPECIALS) throw new WireError("too many special values");
    return this.special(value, depth);
  }

  private special(ext: Ext, depth: number): unknown {
    switch (ext.type) {
      case EXT.integer:
        return integer(ext.data);
      case EXT.buffer:
        return new Uint8Array(this.buffer(ext));
      case EXT.set:
        return new Set(this.list(ext, depth).map((item) => this.value(item, depth + 1)));
      case EXT.map:
        return this.map(this.list(ext, depth), depth);
      case EXT.date:
        return date(this.list(ext, depth));
      case EXT.array:
        return this.array(ext, depth);
      case EXT.frame:
        return this.frame(this.list(ext, depth), depth);
      case EXT.text:
        return this.texts(ext, depth);
      case EXT.handle:
      case EXT.reference:
      case EXT.display:
        return this.revive(ext.type, this.value(this.content(ext, depth), depth));
      default:
        throw new WireError(`a special value of type ${String(ext.type)}`);
    }
  }

  /** The one value in an ext. It is no ext itself, so that nesting is bounded by the depth. */
  private content(ext: Ext, depth: number): Decoded {
    const content = decode(ext.data, { ext: true, depth });
    if (content instanceof Ext) throw new WireError("a special value that is another one");
    return content;
  }

  private list(ext: Ext, depth: number): Decoded[] {
    const content = this.content(ext, depth);
    if (!Array.isArray(content)) throw new WireError(`a special value of type ${String(ext.type)} that is no list`);
    return content;
  }

  private map(items: readonly Decoded[], depth: number): Map<unknown, unknown> {
    if (items.length % 2 !== 0) throw new WireError("a key without a value");
    const map = new Map<unknown, unknown>();
    for (let at = 0; at < items.length; at += 2) {
      const key = this.value(items[at] ?? null, depth + 1);
      if (map.has(key)) throw new WireError("a key twice");
      map.set(key, this.value(items[at + 1] ?? null, depth + 1));
    }
    return map;
  }

  private array(ext: Ext, depth: number): NdArrayValue {
    const [dtype, shape, data, ...rest] = this.list(ext, depth);
    const type = typeof dtype === "string" ? arrayType(dtype) : undefined;
    if (typeof dtype !== "string" || !type) throw new WireError("an array of an unknown type");
    if (!isShape(shape) || rest.length > 0) throw new WireError("an array without a shape");
    const buffer = this.buffer(data);
    if (sizeOf(shape) * type.BYTES_PER_ELEMENT !== buffer.byteLength) {
      throw new WireError("an array whose shape is not that of its bytes");
    }
    return new NdArrayValue(dtype, Object.freeze(Array.from(shape)), new type(buffer));
  }

  private frame(parts: readonly Decoded[], depth: number): DataFrameValue {
    const [rows, names, columns] = parts;
    if (parts.length !== 3 || !Array.isArray(names) || !Array.isArray(columns) || names.length !== columns.length) {
      throw new WireError("a data frame without names and columns");
    }
    const byName = new Map<string, Column>();
    names.forEach((name, at) => {
      if (typeof name !== "string" || byName.has(name))
        throw new WireError("a data frame's name that is none, or twice");
      const column = this.column(columns[at] ?? null, depth + 2);
      if (lengthOf(column) !== rows) throw new WireError("a data frame whose columns differ in length");
      byName.set(name, column);
    });
    if (columns.length === 0 && rows !== 0) throw new WireError("a data frame of rows without columns");
    return new DataFrameValue(byName, rows as number);
  }

  private column(value: Decoded, depth: number): Column {
    const column = this.value(value, depth);
    if (Array.isArray(column)) return column as Column;
    if (!(column instanceof NdArrayValue) || column.shape.length !== 1) throw new WireError("a column that is none");
    return isNative(column.dtype) ? column.data : column;
  }

  private texts(ext: Ext, depth: number): (string | null)[] {
    const [rows, offsets, bytes, validity, ...rest] = this.list(ext, depth);
    if (!Number.isSafeInteger(rows) || (rows as number) < 0 || validity === undefined || rest.length > 0) {
      throw new WireError("a text column without rows");
    }
    return decodeTexts(rows as number, {
      offsets: new Uint8Array(this.buffer(offsets)),
      bytes: new Uint8Array(this.buffer(bytes)),
      validity: validity === null ? null : new Uint8Array(this.buffer(validity)),
    });
  }

  /** Each buffer belongs to one value. */
  private buffer(ext: Decoded | undefined): ArrayBuffer {
    if (!(ext instanceof Ext) || ext.type !== EXT.buffer || ext.data.byteLength !== 4) {
      throw new WireError("a buffer without an index");
    }
    const at = new DataView(ext.data.buffer, ext.data.byteOffset, 4).getUint32(0);
    const buffer = this.buffers[at];
    if (buffer === undefined) throw new WireError("a buffer that is not there");
    if (this.taken.has(at)) throw new WireError("a buffer that is used twice");
    this.taken.add(at);
    return buffer;
  }
}

function integer(data: Uint8Array): number | bigint {
  const digits = Buffer.from(data).toString("latin1");
  if (digits.replace("-", "").length > MAX_DIGITS || !DIGITS.test(digits))
    throw new WireError("an integer that is none");
  const value = BigInt(digits);
  return Number.isSafeInteger(Number(value)) ? Number(value) : value;
}

function date(parts: readonly Decoded[]): Date {
  const [micros, kind] = parts;
  if (parts.length !== 2 || (kind !== "datetime" && kind !== "date")) throw new WireError("a date that is none");
  if (typeof micros !== "bigint" && !Number.isSafeInteger(micros)) throw new WireError("a date without a time");
  const exact = BigInt(micros as bigint | number);
  const part = exact % 1000n;
  const ms = Number((exact - part) / 1000n) - (part < 0n ? 1 : 0);
  if (Math.abs(ms) > MAX_DATE) throw new WireError("a date that is out of range");
  return new Date(ms);
}

function lengthOf(column: Column): number {
  return column instanceof NdArrayValue ? column.data.length : (column as { readonly length: number }).length;
}

/** `__proto__` is a key like any other. */
function setOwn(object: Record<string, unknown>, key: string, value: unknown): void {
  if (key === "__proto__") {
    Object.defineProperty(object, key, { value, enumerable: true, writable: true, configurable: true });
  } else object[key] = value;
}
