/** Values on their way to Python and back: the value documents of docs/agent-protocol.md. */
import { InvalidArgumentError, LazyclusterError } from "../errors";
import { show } from "../validate";
import { type Decoded, type Encodable, Ext, MAX_DEPTH, MAX_TREE, WireError, decode, encode } from "../wire";

const BIG_INTEGER = 1;
const BUFFER = 2;
const INT64_MAX = 2n ** 63n - 1n;
const INT64_MIN = -(2n ** 63n);
/** Digits of the largest integer: reading more takes too long. */
const MAX_DIGITS = 100_000;
const DIGITS = /^-?(?:0|[1-9]\d*)$/;

/** Throws InvalidArgumentError that names the place of what cannot travel. */
export function encodeValue(value: unknown, what: string): Uint8Array {
  const buffers: Uint8Array[] = [];
  const tree = encode([[], toTree(value, what, 0, buffers)]);
  // The lengths are known only now; they stand in front so that a reader can check them first.
  const whole =
    buffers.length === 0 ? tree : encode([buffers.map((buffer) => buffer.byteLength), toTree(value, what, 0, [])]);
  if (whole.length > MAX_TREE) {
    throw new InvalidArgumentError(
      `${what}: ${String(whole.length)} bytes of lists and texts are too much at once (at most ${String(MAX_TREE)}). Send a file, or bytes.`,
    );
  }
  const head = Buffer.alloc(4);
  head.writeUInt32BE(whole.length);
  return Buffer.concat([head, whole, ...buffers]);
}

/** Throws LazyclusterError for what is no value document: a host sent it. */
export function decodeValue(document: Uint8Array, host: string): unknown {
  const bytes = Buffer.from(document.buffer, document.byteOffset, document.byteLength);
  try {
    if (bytes.length < 4) throw new WireError("cut off");
    const treeEnd = 4 + bytes.readUInt32BE(0);
    if (treeEnd > bytes.length || treeEnd > MAX_TREE + 4) throw new WireError("a tree that is too long");
    const tree = decode(bytes.subarray(4, treeEnd), { ext: true });
    if (!Array.isArray(tree) || tree.length !== 2 || !Array.isArray(tree[0])) throw new WireError("no document");
    const buffers = cutBuffers(bytes.subarray(treeEnd), tree[0]);
    return fromTree(tree[1] ?? null, buffers);
  } catch (error) {
    throw new LazyclusterError(`${host}: a function's value could not be read: ${String(error)}.`, {
      host,
      cause: error,
    });
  }
}

function toTree(value: unknown, place: string, depth: number, buffers: Uint8Array[]): Encodable {
  switch (typeof value) {
    case "undefined":
      return null;
    case "boolean":
    case "number":
      return value;
    case "string":
      return value;
    case "bigint":
      return value <= INT64_MAX && value >= INT64_MIN ? value : bigInteger(value, place);
    case "object":
      break;
    default:
      return refuse(value, place);
  }
  if (value === null) return null;
  if (value instanceof Uint8Array) return new Ext(BUFFER, index(buffers.push(value) - 1));
  if (depth >= MAX_DEPTH - 1) throw new InvalidArgumentError(`${place} is nested too deeply, or holds itself.`);
  if (Array.isArray(value)) return value.map((item, at) => toTree(item, `${place}[${String(at)}]`, depth + 1, buffers));
  const entries =
    value instanceof Map ? [...(value as Map<unknown, unknown>)] : isPlain(value) ? Object.entries(value) : null;
  if (entries === null) return refuse(value, place);
  const map = new Map<string, Encodable>();
  for (const [key, item] of entries) {
    if (typeof key !== "string")
      throw new InvalidArgumentError(`${place}: the keys of a Map must be texts, not ${show(key)}.`);
    map.set(key, toTree(item, `${place}.${key}`, depth + 1, buffers));
  }
  return map;
}

function bigInteger(value: bigint, place: string): Ext {
  const digits = value.toString();
  if (digits.length > MAX_DIGITS)
    throw new InvalidArgumentError(`${place} has more than ${String(MAX_DIGITS)} digits.`);
  return new Ext(BIG_INTEGER, Buffer.from(digits, "latin1"));
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

function refuse(value: unknown, place: string): never {
  throw new InvalidArgumentError(
    `${place} cannot travel to Python: ${show(value)}. Numbers, bigint, texts, booleans, null, bytes (Uint8Array), lists and plain objects can.`,
  );
}

function cutBuffers(bytes: Buffer, lengths: readonly Decoded[]): Uint8Array[] {
  let offset = 0;
  const buffers = lengths.map((length) => {
    if (typeof length !== "number" || length < 0 || length > bytes.length - offset)
      throw new WireError("a buffer that is cut off");
    const start = offset;
    offset += length;
    // A copy has its own, aligned memory and keeps nothing else alive.
    return Uint8Array.from(bytes.subarray(start, offset));
  });
  if (offset !== bytes.length) throw new WireError("bytes behind the last buffer");
  return buffers;
}

function fromTree(value: Decoded, buffers: readonly Uint8Array[]): unknown {
  if (Array.isArray(value)) return value.map((item) => fromTree(item, buffers));
  if (value instanceof Map) {
    const object: Record<string, unknown> = {};
    for (const [key, item] of value) {
      // `__proto__` is a key like any other.
      Object.defineProperty(object, key, {
        value: fromTree(item, buffers),
        enumerable: true,
        writable: true,
        configurable: true,
      });
    }
    return object;
  }
  if (!(value instanceof Ext)) return value;
  const bytes = Buffer.from(value.data);
  if (value.type === BIG_INTEGER) {
    const digits = bytes.toString("latin1");
    if (digits.replace("-", "").length > MAX_DIGITS || !DIGITS.test(digits))
      throw new WireError("an integer that is none");
    const integer = BigInt(digits);
    return Number.isSafeInteger(Number(integer)) ? Number(integer) : integer;
  }
  const buffer = value.type === BUFFER && bytes.length === 4 ? buffers[bytes.readUInt32BE(0)] : undefined;
  if (buffer === undefined) throw new WireError("a buffer that is not there");
  return buffer;
}
