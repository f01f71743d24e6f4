/** Values on their way to Python: the value documents of docs/agent-protocol.md. */
import { types } from "util";
import { InvalidArgumentError } from "../../errors";
import { show } from "../../validate";
import { Double, type Encodable, Ext, MAX_DEPTH, MAX_SPECIALS, MAX_TREE, encode } from "../../wire";
import { DataFrameValue } from "./data-frame";
import { bytesOf, dtypeOf } from "./dtypes";
import { EXT, type Travels, type ValueWriter, type Written, travels } from "./ext";
import { NdArrayValue } from "./ndarray";
import { FloatValue } from "./py-float";
import { encodeTexts } from "./text-column";

const INT64_MAX = 2n ** 63n - 1n;
const INT64_MIN = -(2n ** 63n);
/** Digits of the largest integer: reading more takes too long. */
export const MAX_DIGITS = 100_000;
/** [ms] The years 1 to 9999, which Python's datetime has. */
const FIRST_DATE = -62_135_596_800_000;
const LAST_DATE = 253_402_300_799_999;

/** A document before its bytes are joined. */
export interface EncodedDocument {
  /** The tree, after its length. */
  readonly head: Uint8Array;
  /** What follows the head: views of what the caller gave, not copies. */
  readonly buffers: readonly Uint8Array[];
  /** [bytes] of all. */
  readonly size: number;
  /** What travels beside the document, by the index that the tree has for it. */
  readonly attached: readonly unknown[];
}

/** Throws InvalidArgumentError that names the place of what cannot travel. */
export function encodeDocument(value: unknown, what: string): EncodedDocument {
  const writer = new Writer(what);
  const body = encode(writer.tree(value, 1));
  const lengths = encode(writer.buffers.map((buffer) => buffer.byteLength));
  const size = 1 + lengths.length + body.length;
  if (size > MAX_TREE) {
    throw new InvalidArgumentError(
      `${what}: ${String(size)} bytes of lists and texts are too much at once (at most ${String(MAX_TREE)}). ` +
        "Give numbers as a typed array such as Float64Array, or send a file, or bytes.",
    );
  }
  const start = Buffer.alloc(5);
  start.writeUInt32BE(size);
  start[4] = 0x92;
  const head = Buffer.concat([start, lengths, body]);
  return {
    head,
    buffers: writer.buffers,
    size: writer.buffers.reduce((sum, buffer) => sum + buffer.byteLength, head.length),
    attached: writer.attached,
  };
}

/** The document as one piece. Throws InvalidArgumentError. */
export function encodeValue(value: unknown, what: string): Uint8Array {
  const { head, buffers } = encodeDocument(value, what);
  return Buffer.concat([head, ...buffers]);
}

class Writer implements ValueWriter {
  readonly buffers: Uint8Array[] = [];
  readonly attached: unknown[] = [];
  /** Where we are, outermost step first. */
  private readonly path: (string | number)[] = [];
  private depth = 1;
  private exts = 0;

  constructor(private readonly what: string) {}

  attach(object: unknown): number {
    return this.attached.push(object) - 1;
  }

  ext(type: number, content: unknown): Written & Ext {
    return Object.assign(
      this.special(
        type,
        type === EXT.handle && typeof content === "number" ? index(content) : encode(this.tree(content, this.depth)),
      ),
      { ext: type },
    );
  }

  /** @param depth containers around the value. */
  tree(value: unknown, depth: number): Encodable {
    switch (typeof value) {
      case "undefined":
        return null;
      case "boolean":
      case "number":
      case "string":
        return value;
      case "bigint":
        return value <= INT64_MAX && value >= INT64_MIN ? value : this.bigInteger(value);
      case "object":
        return value === null ? null : this.object(value, depth);
      case "function":
        if (travels in value) return this.travelling(value as object as Travels, depth);
        return this.refuse(value);
      default:
        return this.refuse(value);
    }
  }

  private object(value: object, depth: number): Encodable {
    if (types.isUint8Array(value)) return this.buffer(bytesOf(value));
    if (value instanceof FloatValue) return new Double(value.pyFloat);
    if (types.isDate(value)) return this.date(value);
    if (travels in value) return this.travelling(value as Travels, depth);
    this.nest(depth);
    if (Array.isArray(value)) return this.list(value, depth);
    const dtype = dtypeOf(value);
    if (dtype !== undefined) return this.array(dtype, [(value as Uint8Array).length], value as ArrayBufferView, depth);
    if (value instanceof NdArrayValue) return this.array(value.dtype, value.shape, value.data, depth);
    if (value instanceof DataFrameValue) return this.frame(value, depth);
    if (types.isSet(value)) {
      const items = [...value];
      items.forEach((item) => this.requireHashable(item, "the items of a Set"));
      return this.special(EXT.set, encode(this.list(items, depth)));
    }
    if (types.isMap(value)) return this.map([...value], depth);
    if (isPlain(value)) return this.map(Object.entries(value), depth);
    return this.refuse(value);
  }

  private travelling(value: Travels, depth: number): Encodable {
    const before = this.depth;
    this.depth = depth;
    const written = value[travels](this);
    this.depth = before;
    if (!(written instanceof Ext)) throw new TypeError("an object that travels must give what the writer gave");
    return written;
  }

  private list(items: readonly unknown[], depth: number): Encodable[] {
    const at = this.path.push(0) - 1;
    // Not `map`, which leaves holes as they are.
    const written = Array.from(items, (item, index) => {
      this.path[at] = index;
      return this.tree(item, depth + 1);
    });
    this.path.pop();
    return written;
  }

  private map(entries: readonly (readonly [unknown, unknown])[], depth: number): Encodable {
    if (!entries.every(([key]) => typeof key === "string")) {
      entries.forEach(([key]) => this.requireHashable(key, "the keys of a Map"));
      return this.special(EXT.map, encode(this.list(entries.flat(), depth)));
    }
    const at = this.path.push("") - 1;
    const map = new Map<string, Encodable>();
    for (const [key, item] of entries as readonly [string, unknown][]) {
      this.path[at] = key;
      map.set(key, this.tree(item, depth + 1));
    }
    this.path.pop();
    return map;
  }

  private array(dtype: string, shape: readonly number[], data: ArrayBufferView, depth: number): Ext {
    this.nest(depth + 1);
    return this.special(EXT.array, encode([dtype, shape, this.buffer(bytesOf(data))]));
  }

  private frame(frame: DataFrameValue, depth: number): Ext {
    this.nest(depth + 2);
    const at = this.path.push("") - 1;
    const columns = frame.columnNames.map((name): Encodable => {
      this.path[at] = name;
      const column = frame.columns[name] ?? [];
      if (column instanceof NdArrayValue) return this.array(column.dtype, column.shape, column.data, depth + 2);
      const dtype = dtypeOf(column);
      if (dtype !== undefined) return this.array(dtype, [frame.length], column as ArrayBufferView, depth + 2);
      const items = column as readonly unknown[];
      const texts = encodeTexts(items);
      if (texts === null) return this.list(items, depth + 2);
      const { offsets, bytes, validity } = texts;
      const parts = [this.buffer(offsets), this.buffer(bytes), validity && this.buffer(validity)];
      return this.special(EXT.text, encode([items.length, ...parts]));
    });
    this.path.pop();
    return this.special(EXT.frame, encode([frame.length, frame.columnNames, columns]));
  }

  private date(value: Date): Ext {
    const ms = value.getTime();
    if (!(ms >= FIRST_DATE && ms <= LAST_DATE)) {
      throw new InvalidArgumentError(`${this.place()}: ${show(value)} is no date of the years 1 to 9999.`);
    }
    return this.special(EXT.date, encode([BigInt(ms) * 1000n, "datetime"]));
  }

  private bigInteger(value: bigint): Ext {
    const digits = value.toString();
    if (digits.length > MAX_DIGITS) {
      throw new InvalidArgumentError(`${this.place()} has more than ${String(MAX_DIGITS)} digits.`);
    }
    return this.special(EXT.integer, Buffer.from(digits, "latin1"));
  }

  private buffer(bytes: Uint8Array): Ext {
    return this.special(EXT.buffer, index(this.buffers.push(bytes) - 1));
  }

  private special(type: number, content: Uint8Array): Ext {
    if ((this.exts += 1) > MAX_SPECIALS) {
      throw new InvalidArgumentError(
        `${this.what}: more than ${String(MAX_SPECIALS)} dates, byte strings and the like are too many at once. Give them as columns or typed arrays.`,
      );
    }
    return new Ext(type, content);
  }

  /** Python's sets and dicts take no lists and dicts there; lists arrive as tuples. */
  private requireHashable(value: unknown, where: string): void {
    if (Array.isArray(value)) {
      value.forEach((item) => this.requireHashable(item, where));
      return;
    }
    if (typeof value === "object" && value !== null) {
      if (types.isSet(value) || types.isDate(value) || types.isUint8Array(value) || value instanceof FloatValue) return;
      throw new InvalidArgumentError(
        `${this.place()}: ${where} must be numbers, texts, dates, bytes, or lists and sets of these, for Python; not ${show(value)}.`,
      );
    }
  }

  private nest(depth: number): void {
    if (depth >= MAX_DEPTH) throw new InvalidArgumentError(`${this.place()} is nested too deeply, or holds itself.`);
  }

  private place(): string {
    const steps = this.path.map((step) => (typeof step === "number" ? `[${String(step)}]` : `.${step}`));
    return this.what + steps.join("");
  }

  private refuse(value: unknown): never {
    throw new InvalidArgumentError(
      `${this.place()} cannot travel: ${show(value)}. Numbers, bigint, texts, booleans, null, dates, bytes (Uint8Array), ` +
        "typed arrays, ndarray(…), dataFrame(…), lists, sets, maps and plain objects can.",
    );
  }
}

function index(at: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(at);
  return bytes;
}

function isPlain(value: object): boolean {
  const prototype: unknown = Object.getPrototypeOf(value);
  // Objects of another realm (a notebook's cells may have one) are plain too.
  return prototype === null || Object.getPrototypeOf(prototype) === null;
}
