/**
 * Plain msgpack. The codec is msgpack-lite; because it is old and trusting, every input is first walked by
 * `inspect`, which bounds depth, lengths and types before the codec allocates anything for it.
 * Nothing else in the project imports msgpack-lite.
 */
import { isUtf8 } from "buffer";
import { MAX_DEPTH, MAX_SPECIALS, WireError } from "./limits";

/** An ext value; headers have none, values have those of docs/agent-protocol.md. Read ones are views of what they were read from. */
export class Ext {
  constructor(
    readonly type: number,
    readonly data: Uint8Array,
  ) {}
}

/** A number that is written as float64 even where it is integral. */
export class Double {
  constructor(readonly value: number) {}
}

/** What `decode` gives: integers that a double cannot hold exactly are bigint, binaries Uint8Array. */
export type Decoded = null | boolean | number | bigint | string | Uint8Array | Ext | Decoded[] | Map<string, Decoded>;

/** What `encode` takes. Integral safe numbers but -0 and bigint (within int64) become integers, `undefined` nil. */
export type Encodable =
  | Decoded
  | Double
  | undefined
  | readonly Encodable[]
  | ReadonlyMap<string, Encodable>
  | { readonly [key: string]: Encodable };

/** msgpack-lite and int64-buffer as far as we use them. */
interface MsgpackLite {
  readonly createCodec: (options: object) => LibraryCodec;
  readonly encode: (input: unknown, options: { codec: LibraryCodec }) => Buffer;
  readonly decode: (input: Uint8Array, options: { codec: LibraryCodec }) => unknown;
}
interface LibraryCodec {
  encode: (encoder: LibraryEncoder, value: unknown) => void;
  addExtPacker(type: number, constructor: unknown, packer: (value: Ext) => Uint8Array): void;
  addExtUnpacker(type: number, unpacker: (data: Uint8Array) => Ext): void;
}
interface LibraryEncoder {
  /** Appends bytes as they are. */
  send(bytes: Uint8Array): void;
}
interface Int64 {
  toString(): string;
}
interface Int64Buffer {
  readonly Int64BE: new (value: string, radix: number) => Int64;
}
interface Library extends Int64Buffer {
  readonly encode: (value: unknown) => Buffer;
  readonly decode: (bytes: Uint8Array) => unknown;
}

const EXT_TYPES = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12] as const;
/** One class per ext type, because the codec finds the packer by constructor. */
const extClasses = new Map(
  EXT_TYPES.map((type): [number, new (data: Uint8Array) => Ext] => [type, makeExtClass(type)]),
);

let loaded: Library | null = null;

/** Loaded with the first message: it takes longer than all the rest of the library, and who only composes does not need it. */
function library(): Library {
  if (loaded) return loaded;
  // Plain calls, which the build of the worker for JavaScript functions follows (scripts/lib/js-worker.mjs).
  /* eslint-disable @typescript-eslint/no-require-imports */
  const { createCodec, encode, decode } = require("msgpack-lite") as MsgpackLite;
  const { Int64BE } = require("int64-buffer") as Int64Buffer;
  /* eslint-enable @typescript-eslint/no-require-imports */
  const codec = createCodec({ usemap: true, int64: true });
  for (const [type, packed] of extClasses) {
    codec.addExtPacker(type, packed, (value) => asBuffer(value.data));
    codec.addExtUnpacker(type, (data) => new Ext(type, data));
  }
  // The library writes every integral number as an integer.
  const { encode: write } = codec;
  codec.encode = (encoder, value) => {
    if (value instanceof Double) encoder.send(float64(value.value));
    else write(encoder, value);
  };
  loaded = { Int64BE, encode: (value) => encode(value, { codec }), decode: (bytes) => decode(bytes, { codec }) };
  return loaded;
}

function makeExtClass(type: number): new (data: Uint8Array) => Ext {
  const packed = class extends Ext {
    constructor(data: Uint8Array) {
      super(type, data);
    }
  };
  // The codec looks its packers up by the constructor's name.
  return Object.defineProperty(packed, "name", { value: `Ext${String(type)}` });
}

function float64(value: number): Buffer {
  const bytes = Buffer.allocUnsafe(9);
  bytes[0] = 0xcb;
  bytes.writeDoubleBE(value, 1);
  return bytes;
}

const INT64_MAX = 2n ** 63n - 1n;
const INT64_MIN = -(2n ** 63n);

/** Throws WireError for what plain msgpack cannot hold. */
export function encode(value: Encodable): Buffer {
  return library().encode(prepare(value, 0));
}

/**
 * Reads exactly one value that fills `bytes`. Throws WireError for anything else: no input crashes, hangs, or makes
 * it allocate more than a small multiple of the input.
 *
 * @param options.depth of the containers around it, which count too.
 */
export function decode(
  bytes: Uint8Array,
  options: { readonly ext: boolean; readonly depth?: number } = { ext: false },
): Decoded {
  const needsRepair = inspect(bytes, options.ext, options.depth ?? 0);
  let value: unknown;
  try {
    value = library().decode(asBuffer(bytes));
  } catch (error) {
    throw new WireError(`not msgpack: ${String(error)}`);
  }
  return needsRepair ? repair(value) : (value as Decoded);
}

/** The same value in the forms that the codec writes as plain msgpack. */
function prepare(value: Encodable, depth: number): unknown {
  switch (typeof value) {
    case "undefined":
      return null;
    case "boolean":
    case "string":
      return value;
    case "number":
      if (Object.is(value, -0)) return new Double(value);
      return Number.isSafeInteger(value) && (value > 0xffffffff || value < -0x80000000) ? int64(BigInt(value)) : value;
    case "bigint":
      return int64(value);
    case "object":
      break;
    default:
      throw new WireError(`a ${typeof value} is no data`);
  }
  if (value === null) return null;
  if (value instanceof Uint8Array) return asBuffer(value);
  if (value instanceof Double) return value;
  if (value instanceof Ext) {
    const packed = extClasses.get(value.type);
    if (!packed) throw new WireError(`ext type ${String(value.type)} is not in use`);
    return new packed(value.data);
  }
  if (depth >= MAX_DEPTH) throw new WireError(`nested deeper than ${String(MAX_DEPTH)}`);
  if (Array.isArray(value)) return (value as readonly Encodable[]).map((item) => prepare(item, depth + 1));
  const entries: Iterable<[unknown, Encodable]> =
    value instanceof Map ? (value as Map<string, Encodable>) : Object.entries(value);
  const map = new Map<string, unknown>();
  for (const [key, item] of entries) {
    if (typeof key !== "string") throw new WireError("the keys of a map are strings");
    map.set(key, prepare(item, depth + 1));
  }
  return map;
}

function int64(value: bigint): unknown {
  if (value > INT64_MAX || value < INT64_MIN) throw new WireError(`${value.toString()} does not fit into 64 bits`);
  if (value >= -0x80000000n && value <= 0xffffffffn) return Number(value);
  return new (library().Int64BE)(value.toString(), 10);
}

/** What the codec's 64-bit integers and float -0 stand for. */
function repair(value: unknown): Decoded {
  if (typeof value !== "object" || value === null || value instanceof Uint8Array || value instanceof Ext) {
    return value as Decoded;
  }
  if (Array.isArray(value)) return value.map(repair);
  if (value instanceof Map) {
    const map = value as Map<string, unknown>;
    for (const [key, item] of map) map.set(key, repair(item));
    return map as Map<string, Decoded>;
  }
  const exact = BigInt((value as Int64).toString());
  const number = Number(exact);
  return Number.isSafeInteger(number) ? number : exact;
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** What a first byte announces: `head` bytes of length follow, or a fixed count of content bytes or items. */
type Shape =
  | { readonly kind: "scalar"; readonly size: number; readonly wide: boolean }
  | { readonly kind: "str" | "bin" | "array" | "map" | "ext"; readonly head: number; readonly fixed: number };

const SHAPES: readonly (Shape | null)[] = Array.from({ length: 256 }, (_, byte): Shape | null => {
  const scalar = (size: number, wide = false): Shape => ({ kind: "scalar", size, wide });
  if (byte <= 0x7f || byte >= 0xe0) return scalar(0);
  if (byte <= 0x8f) return { kind: "map", head: 0, fixed: byte & 0x0f };
  if (byte <= 0x9f) return { kind: "array", head: 0, fixed: byte & 0x0f };
  if (byte <= 0xbf) return { kind: "str", head: 0, fixed: byte & 0x1f };
  const table: Record<number, Shape | null> = {
    0xc0: scalar(0),
    0xc1: null,
    0xc2: scalar(0),
    0xc3: scalar(0),
    0xc4: { kind: "bin", head: 1, fixed: 0 },
    0xc5: { kind: "bin", head: 2, fixed: 0 },
    0xc6: { kind: "bin", head: 4, fixed: 0 },
    0xc7: { kind: "ext", head: 1, fixed: 0 },
    0xc8: { kind: "ext", head: 2, fixed: 0 },
    0xc9: { kind: "ext", head: 4, fixed: 0 },
    0xca: scalar(4),
    0xcb: scalar(8),
    0xcc: scalar(1),
    0xcd: scalar(2),
    0xce: scalar(4),
    0xcf: scalar(8, true),
    0xd0: scalar(1),
    0xd1: scalar(2),
    0xd2: scalar(4),
    0xd3: scalar(8, true),
    0xd4: { kind: "ext", head: 0, fixed: 1 },
    0xd5: { kind: "ext", head: 0, fixed: 2 },
    0xd6: { kind: "ext", head: 0, fixed: 4 },
    0xd7: { kind: "ext", head: 0, fixed: 8 },
    0xd8: { kind: "ext", head: 0, fixed: 16 },
    0xd9: { kind: "str", head: 1, fixed: 0 },
    0xda: { kind: "str", head: 2, fixed: 0 },
    0xdb: { kind: "str", head: 4, fixed: 0 },
    0xdc: { kind: "array", head: 2, fixed: 0 },
    0xdd: { kind: "array", head: 4, fixed: 0 },
    0xde: { kind: "map", head: 2, fixed: 0 },
    0xdf: { kind: "map", head: 4, fixed: 0 },
  };
  return table[byte] ?? null;
});

/** A container being walked: items left; of a map, the keys so far (items alternate key and value). */
interface Open {
  left: number;
  readonly keys: Set<string> | null;
  atKey: boolean;
}

/** Walks the bytes without recursion. True when `repair` has something to do. */
function inspect(input: Uint8Array, allowExt: boolean, depth: number): boolean {
  const bytes = asBuffer(input);
  const open: Open[] = [];
  let offset = 0;
  let needsRepair = false;
  let exts = 0;
  const need = (count: number): void => {
    if (count > bytes.length - offset) throw new WireError("cut off");
  };
  do {
    need(1);
    const first = bytes[offset++] ?? 0;
    const shape = SHAPES[first];
    if (!shape) throw new WireError(`0x${first.toString(16)} is no msgpack`);
    const parent = open.at(-1);
    const isKey = parent?.keys != null && parent.atKey;
    if (isKey && shape.kind !== "str") throw new WireError("the keys of a map are strings");
    let children: Open | null = null;
    if (shape.kind === "scalar") {
      need(shape.size);
      if (shape.wide) {
        needsRepair = true;
        if (first === 0xcf && (bytes[offset] ?? 0) >= 0x80) throw new WireError("an integer beyond int64");
      }
      offset += shape.size;
    } else {
      need(shape.head);
      const length = shape.head === 0 ? shape.fixed : bytes.readUIntBE(offset, shape.head);
      offset += shape.head;
      switch (shape.kind) {
        case "str": {
          need(length);
          const text = bytes.subarray(offset, offset + length);
          if (!isUtf8(text)) throw new WireError("a string that is no UTF-8");
          if (isKey) {
            const key = text.toString("utf8");
            if (parent.keys.has(key)) throw new WireError(`the key ${JSON.stringify(key)} twice`);
            parent.keys.add(key);
          }
          offset += length;
          break;
        }
        case "bin":
          need(length);
          offset += length;
          break;
        case "ext": {
          need(length + 1);
          const type = bytes[offset] ?? 0;
          if (!allowExt || !extClasses.has(type)) throw new WireError(`ext type ${String(type)} is not expected here`);
          if ((exts += 1) > MAX_SPECIALS) throw new WireError("too many special values");
          offset += length + 1;
          break;
        }
        case "array":
          // Every item takes a byte at least, so a count beyond the rest can never be satisfied.
          need(length);
          children = { left: length, keys: null, atKey: false };
          break;
        case "map":
          need(length * 2);
          children = { left: length * 2, keys: new Set(), atKey: true };
          break;
      }
    }
    if (parent) {
      parent.left -= 1;
      if (parent.keys) parent.atKey = !parent.atKey;
    }
    if (children) {
      if (depth + open.length >= MAX_DEPTH) throw new WireError(`nested deeper than ${String(MAX_DEPTH)}`);
      open.push(children);
    }
    while (open.at(-1)?.left === 0) open.pop();
  } while (open.length > 0);
  if (offset !== bytes.length) throw new WireError(`${String(bytes.length - offset)} bytes after the value`);
  return needsRepair;
}
