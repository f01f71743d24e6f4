import type { Decoded } from "./msgpack";
import { WireError } from "./limits";

/** A received header. Its fields are read with the type that they must have, for what a host sends is never trusted. */
export class Header {
  constructor(private readonly fields: ReadonlyMap<string, Decoded>) {}

  get op(): string {
    return this.text("op");
  }

  text(name: string): string {
    const value = this.fields.get(name);
    return typeof value === "string" ? value : this.refuse(name, "a string");
  }

  optionalText(name: string): string | null {
    const value = this.fields.get(name) ?? null;
    return value === null || typeof value === "string" ? value : this.refuse(name, "a string or nil");
  }

  /** A safe integer, from 0 on unless a lower bound is given. */
  integer(name: string, least = 0): number {
    const value = this.fields.get(name);
    return Number.isSafeInteger(value) && (value as number) >= least
      ? (value as number)
      : this.refuse(name, `an integer from ${String(least)} on`);
  }

  optionalInteger(name: string, least = 0): number | null {
    return (this.fields.get(name) ?? null) === null ? null : this.integer(name, least);
  }

  /** A time in ns may lie beyond 2^53. */
  bigint(name: string): bigint {
    const value = this.fields.get(name);
    if (typeof value === "bigint") return value;
    return Number.isSafeInteger(value) ? BigInt(value as number) : this.refuse(name, "an integer");
  }

  /** Any finite number. */
  number(name: string): number {
    const value = this.fields.get(name);
    return isNumber(value) ? value : this.refuse(name, "a number");
  }

  numberList(name: string): number[] {
    return this.list(name).map((item) => (isNumber(item) ? item : this.refuse(name, "a list of numbers")));
  }

  flag(name: string): boolean {
    const value = this.fields.get(name) ?? false;
    return typeof value === "boolean" ? value : this.refuse(name, "a boolean");
  }

  bytes(name: string): Buffer {
    const value = this.fields.get(name);
    return value instanceof Uint8Array
      ? Buffer.from(value.buffer, value.byteOffset, value.byteLength)
      : this.refuse(name, "binary");
  }

  bytesList(name: string): Buffer[] {
    return this.list(name).map((item) =>
      item instanceof Uint8Array
        ? Buffer.from(item.buffer, item.byteOffset, item.byteLength)
        : this.refuse(name, "a list of binaries"),
    );
  }

  textList(name: string): string[] {
    return this.list(name).map((item) => (typeof item === "string" ? item : this.refuse(name, "a list of strings")));
  }

  /** Safe integers from 0 on. */
  integerList(name: string): number[] {
    return this.list(name).map((item) =>
      Number.isSafeInteger(item) && (item as number) >= 0
        ? (item as number)
        : this.refuse(name, "a list of integers from 0 on"),
    );
  }

  /** A map as a header of its own, null where it is nil. */
  optionalMap(name: string): ReadonlyMap<string, Decoded> | null {
    const value = this.fields.get(name) ?? null;
    return value === null || value instanceof Map ? value : this.refuse(name, "a map or nil");
  }

  private list(name: string): Decoded[] {
    const value = this.fields.get(name) ?? [];
    return Array.isArray(value) ? value : this.refuse(name, "a list");
  }

  private refuse(name: string, expected: string): never {
    const op = this.fields.get("op");
    throw new WireError(`${typeof op === "string" ? op : "a message"}: its field ${name} must be ${expected}`);
  }
}

function isNumber(value: Decoded | undefined): value is number {
  return typeof value === "number" && Number.isFinite(value);
}
